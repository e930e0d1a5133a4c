#pragma once
#include <fieldstep/train/concepts.hpp>
#include <fieldstep/train/optimizer/average.hpp>

#include <cmath>

namespace fieldstep::train {

/// The running average of gradients instead of the gradient, for a Chain: with n = t + 1,
///   e <- decay e + (1 - decay) g,  g <- e, debiased e / (1 - decay^n)
/// Source: optax.ema.
struct GradientEma {
  double decay;
  bool debias = true;

  template <class Real>
  struct State {
    Arena<Real> average;
    void visit(const auto& show) { show("average", average); }
  };
  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    return {groups.template arena<Real>()};
  }

  template <class Exec, class Real>
  double apply(const Exec& exec, const ParameterGroups& groups, long t, const Real*, Real* gradient, State<Real>& state,
               double factor) const {
    ops::pointwise(exec, groups.runs(), Rule<Real>{RunningAverage<Real>(decay), static_cast<Real>(factor)}, gradient,
                   state.average.data());
    return debias ? 1 / (1 - std::pow(decay, t + 1)) : 1;
  }

 private:
  template <class Real>
  struct Rule {
    RunningAverage<Real> average;
    Real factor;
    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun&, V& g, V& e) const {
      g = e = average(e, factor * g);
    }
  };
};

/// A second set of weights that follows the first, to evaluate with:
///   average <- average + step (w - average)    after every update
/// It starts as a copy of the weights. With ParameterGroups::everything() the running statistics of batch norms follow,
/// too; what is frozen keeps its bits.
/// Source: optax.incremental_update; Polyak and Juditsky 1992.
struct ParameterEma {
  double step;

  template <class Exec, class Real>
  void update(const Exec& exec, const ParameterGroups& groups, const Real* weights, Real* average) const {
    ops::pointwise(exec, groups.runs(), Rule<Real>{static_cast<Real>(step)}, weights, average);
  }

 private:
  template <class Real>
  struct Rule {
    Real step;
    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun&, V w, V& average) const {
      average += step * (w - average);
    }
  };
};

}  // namespace fieldstep::train
