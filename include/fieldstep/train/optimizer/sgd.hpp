#pragma once
#include <fieldstep/train/concepts.hpp>
#include <fieldstep/train/schedule.hpp>

namespace fieldstep::train {

/// Gradient descent.
///   without momentum   w -= eta g
///   with               m <- g + mu m,  w -= eta m
///   nesterov           m <- g + mu m,  w -= eta (g + mu m)
/// Source: optax.sgd; torch.optim.SGD without dampening is the same.
template <Schedule Rate = Constant>
struct SGD {
  Rate schedule{};
  double momentum = 0;
  bool nesterov = false;

  template <class Real>
  struct State {
    Arena<Real> m;  ///< empty without momentum
    void visit(const auto& show) {
      if (m.size() > 0) show("m", m);
    }
  };
  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    return {momentum != 0 ? groups.template arena<Real>() : Arena<Real>()};
  }

  template <class Exec, class Real>
  void step(const Exec& exec, const ParameterGroups& groups, long t, Real* weights, const Real* gradient,
            State<Real>& state, double factor = 1) const {
    const Rule<Real> rule{schedule(t), static_cast<Real>(momentum), static_cast<Real>(factor), nesterov};
    if (momentum == 0)
      ops::pointwise(exec, groups.runs(), rule, weights, gradient);
    else
      ops::pointwise(exec, groups.runs(), rule, weights, gradient, state.m.data());
  }

 private:
  template <class Real>
  struct Rule {
    double eta;
    Real mu, factor;
    bool nesterov;

    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun& run, V& w, V g) const {
      w -= static_cast<Real>(run.rate * eta) * (factor * g);
    }
    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun& run, V& w, V g, V& m) const {
      g = factor * g;
      m = g + mu * m;
      w -= static_cast<Real>(run.rate * eta) * (nesterov ? g + mu * m : m);
    }
  };
};

}  // namespace fieldstep::train
