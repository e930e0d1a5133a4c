#pragma once
#include <fieldstep/train/concepts.hpp>
#include <fieldstep/train/optimizer/average.hpp>
#include <fieldstep/train/schedule.hpp>

namespace fieldstep::train {

/// Lion, evolved sign momentum:
///   w -= eta (sign(b1 m + (1 - b1) g) + weight_decay w),  m <- b2 m + (1 - b2) g
/// Source: Chen et al. 2023, arXiv:2302.06675; optax.lion.
template <Schedule Rate = Constant>
struct Lion {
  Rate schedule{};
  double weight_decay = 1e-3, beta1 = .9, beta2 = .99;

  template <class Real>
  struct State {
    Arena<Real> m;
    void visit(const auto& show) { show("m", m); }
  };
  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    return {groups.template arena<Real>()};
  }

  template <class Exec, class Real>
  void step(const Exec& exec, const ParameterGroups& groups, long t, Real* weights, const Real* gradient,
            State<Real>& state, double factor = 1) const {
    const Rule<Real> rule{.ahead = RunningAverage<Real>(beta1),
                          .moment = RunningAverage<Real>(beta2),
                          .factor = static_cast<Real>(factor),
                          .eta = schedule(t),
                          .weight_decay = weight_decay};
    ops::pointwise(exec, groups.runs(), rule, weights, gradient, state.m.data());
  }

 private:
  template <class Real>
  struct Rule {
    RunningAverage<Real> ahead, moment;
    Real factor;
    double eta, weight_decay;

    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun& run, V& w, V g, V& m) const {
      g = factor * g;
      const V zero{}, one = zero + 1, c = ahead(m, g);
      const V sign = c > zero ? one : c < zero ? -one : zero;
      w -= static_cast<Real>(run.rate * eta) * (sign + static_cast<Real>(run.decay * weight_decay) * w);
      m = moment(m, g);
    }
  };
};

}  // namespace fieldstep::train
