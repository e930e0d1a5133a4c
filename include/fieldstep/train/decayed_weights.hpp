#pragma once
#include <fieldstep/train/concepts.hpp>

namespace fieldstep::train {

/// g + weight_decay w: the L2 penalty, which the optimizer behind it scales as it scales a gradient.
/// Source: optax.add_decayed_weights; weight_decay of torch.optim.Adam and SGD.
struct AddDecayedWeights {
  double weight_decay;

  template <class Real>
  using State = NoState<Real>;
  template <class Real>
  State<Real> make_state(const ParameterGroups&) const {
    return {};
  }

  template <class Exec, class Real>
  double apply(const Exec& exec, const ParameterGroups& groups, long, const Real* weights, Real* gradient, State<Real>&,
               double factor) const {
    ops::pointwise(exec, groups.runs(), Rule<Real>{weight_decay, static_cast<Real>(factor)}, weights, gradient);
    return 1;
  }

 private:
  template <class Real>
  struct Rule {
    double weight_decay;
    Real factor;
    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun& run, V w, V& g) const {
      g = factor * g + static_cast<Real>(run.decay * weight_decay) * w;
    }
  };
};

}  // namespace fieldstep::train
