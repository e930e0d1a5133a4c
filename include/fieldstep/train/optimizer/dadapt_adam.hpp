#pragma once
#include <fieldstep/train/optimizer/average.hpp>
#include <fieldstep/train/optimizer/dadapt.hpp>

#include <cmath>

namespace fieldstep::train {

/// AdamW that finds its own learning rate, as MPP's trainer runs it: decoupled decay, no bias correction. Every update
/// makes a pass for the sums A, L1 and one for the weights. With lambda = d * schedule and r = sqrt(b2),
///   A = lambda sum g s / (sqrt(n) + eps)    with the old s and n
///   m <- b1 m + lambda (1 - b1) g,  n <- b2 n + (1 - b2) g^2,  s <- r s + lambda (1 - r) g,  L1 = sum |s|
///   W <- r W + (1 - r) A
///   d <- max(d, min(W / ((1 - r) L1), growth_rate d))    where schedule > 0; nothing more where L1 = 0
///   w <- w - lambda weight_decay w with the old d,  w <- w - m / (sqrt(n) + eps)
/// The learning rate is one for all: groups may differ in decay, not in rate.
/// Source: Defazio and Mishchenko 2023, arXiv:2301.07733; DAdaptAdam of dadaptation 3.2.
template <Schedule Rate = Constant>
struct DAdaptAdam {
  Rate schedule{1.};
  double weight_decay = 0, beta1 = .9, beta2 = .999, eps = 1e-8, d0 = 1e-6, growth_rate = 1.05;

  template <class Real>
  struct State {
    Arena<Real> m, n, s;
    double d, numerator_weighted;
    Arena<double> partial;  ///< scratch

    void visit(const auto& show) {
      show("m", m), show("n", n), show("s", s);
      show("d", d), show("numerator_weighted", numerator_weighted);
    }
  };
  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    detail::require_one_rate(groups, "DAdaptAdam");
    return {.m = groups.template arena<Real>(),
            .n = groups.template arena<Real>(),
            .s = groups.template arena<Real>(),
            .d = d0,
            .numerator_weighted = 0,
            .partial = Arena<double>(2 * groups.runs().size())};
  }

  template <class Exec, class Real>
  void step(const Exec& exec, const ParameterGroups& groups, long t, Real* weights, const Real* gradient,
            State<Real>& state, double factor = 1) const {
    const double eta = schedule(t), lambda = state.d * eta, r = std::sqrt(beta2);
    const Real *m = state.m.data(), *n = state.n.data();
    const Accumulate<Real> accumulate{.first = RunningAverage<Real>(beta1, lambda),
                                      .second = RunningAverage<Real>(beta2),
                                      .sum = RunningAverage<Real>(r, lambda),
                                      .eps = static_cast<Real>(eps),
                                      .factor = static_cast<Real>(factor)};
    const auto [dot, L1] = ops::pointwise_sums<2>(exec, groups.runs(), state.partial.data(), accumulate, gradient,
                                                  state.m.data(), state.n.data(), state.s.data());
    state.numerator_weighted = r * state.numerator_weighted + (1 - r) * lambda * dot;
    if (L1 == 0) return;
    if (eta > 0) state.d = detail::grown(state.d, state.numerator_weighted / ((1 - r) * L1), growth_rate);
    ops::pointwise(exec, groups.runs(), Move<Real>{static_cast<Real>(eps), lambda * weight_decay}, weights, m, n);
  }

 private:
  template <class Real>
  struct Accumulate {
    RunningAverage<Real> first, second, sum;
    Real eps, factor;

    template <class Sum, class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun&, Sum (&sums)[2], V g, V& m, V& n, V& s) const {
      g = factor * g;
      sums[0] += ops::in_double(ops::ratio<V>(g * s, ops::root(n) + eps));
      m = first(m, g);
      n = second(n, g * g);
      s = sum(s, g);
      sums[1] += ops::in_double(ops::magnitude(s));
    }
  };

  template <class Real>
  struct Move {
    Real eps;
    double weight_decay;

    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun& run, V& w, V m, V n) const {
      w = static_cast<Real>(1 - run.decay * weight_decay) * w - ops::ratio<V>(m, ops::root(n) + eps);
    }
  };
};

}  // namespace fieldstep::train
