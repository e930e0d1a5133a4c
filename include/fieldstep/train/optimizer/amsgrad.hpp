#pragma once
#include <fieldstep/train/concepts.hpp>
#include <fieldstep/train/optimizer/average.hpp>
#include <fieldstep/train/schedule.hpp>

#include <cmath>

namespace fieldstep::train {

/// Adam with the largest second moment so far: with n = t + 1,
///   m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,  v_max <- max(v_max, v / (1 - b2^n))
///   w -= eta (m / (1 - b1^n)) / (sqrt(v_max + eps_root) + eps)
/// Source: Reddi, Kale, Kumar 2018, arXiv:1904.09237; optax.amsgrad. (torch takes the maximum before 1 - b2^n.)
template <Schedule Rate = Constant>
struct AMSGrad {
  Rate schedule{};
  double beta1 = .9, beta2 = .999, eps = 1e-8, eps_root = 0;

  template <class Real>
  struct State {
    Arena<Real> m, v, v_max;
    void visit(const auto& show) { show("m", m), show("v", v), show("v_max", v_max); }
  };
  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    return {groups.template arena<Real>(), groups.template arena<Real>(), groups.template arena<Real>()};
  }

  template <class Exec, class Real>
  void step(const Exec& exec, const ParameterGroups& groups, long t, Real* weights, const Real* gradient,
            State<Real>& state, double factor = 1) const {
    const Rule<Real> rule{.first = RunningAverage<Real>(beta1),
                          .second = RunningAverage<Real>(beta2),
                          .v_scale = static_cast<Real>(1 / (1 - std::pow(beta2, t + 1))),
                          .eps = static_cast<Real>(eps),
                          .eps_root = static_cast<Real>(eps_root),
                          .factor = static_cast<Real>(factor),
                          .eta = schedule(t) / (1 - std::pow(beta1, t + 1))};
    ops::pointwise(exec, groups.runs(), rule, weights, gradient, state.m.data(), state.v.data(), state.v_max.data());
  }

 private:
  template <class Real>
  struct Rule {
    RunningAverage<Real> first, second;
    Real v_scale, eps, eps_root, factor;
    double eta;

    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun& run, V& w, V g, V& m, V& v, V& v_max) const {
      g = factor * g;
      m = first(m, g);
      v = second(v, g * g);
      const V v_hat = v_scale * v;
      v_max = v_max > v_hat ? v_max : v_hat;
      w -= static_cast<Real>(run.rate * eta) * ops::ratio<V>(m, ops::root(v_max + eps_root) + eps);
    }
  };
};

}  // namespace fieldstep::train
