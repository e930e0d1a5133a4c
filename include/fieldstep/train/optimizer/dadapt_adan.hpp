#pragma once
#include <fieldstep/train/optimizer/average.hpp>
#include <fieldstep/train/optimizer/dadapt.hpp>

namespace fieldstep::train {

/// Adan that finds its own learning rate: MPP's shipped optimizer. Every update makes a pass for the sums G, Q, L1 and
/// one for the weights. With lambda = d * schedule, p the gradient of the update before and u = g - p (p = g in the
/// first),
///   m <- b1 m + lambda (1 - b1) g,  v <- b2 v + lambda (1 - b2) u,  n <- b3 n + (1 - b3) (g + b2 u)^2
///   s <- b3 s + lambda (1 - b3) g,  D = sqrt(n) + eps,  G = sum g^2 / D,  Q = sum s^2 / D,  L1 = sum |s|
///   gsq <- b3 gsq + (1 - b3) lambda^2 G
///   d <- max(d, min((Q / (1 - b3) - gsq) / L1, growth_rate d))    where schedule > 0; nothing more where L1 = 0
///   w <- (w - (m + b2 v) / D) / (1 + lambda weight_decay) with the old d,  p <- g
/// The learning rate is one for all: groups may differ in decay, not in rate.
/// Source: Defazio and Mishchenko 2023, arXiv:2301.07733; DAdaptAdan of dadaptation 3.2.
template <Schedule Rate = Constant>
struct DAdaptAdan {
  Rate schedule{1.};
  double weight_decay = 0, beta1 = .98, beta2 = .92, beta3 = .99, eps = 1e-8, d0 = 1e-6, growth_rate = 1.05;

  template <class Real>
  struct State {
    Arena<Real> m, v, n, s, previous;
    double d, gsq_weighted;
    Arena<double> partial;  ///< scratch

    void visit(const auto& show) {
      show("m", m), show("v", v), show("n", n), show("s", s), show("previous", previous);
      show("d", d), show("gsq_weighted", gsq_weighted);
    }
  };
  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    detail::require_one_rate(groups, "DAdaptAdan");
    return {.m = groups.template arena<Real>(),
            .v = groups.template arena<Real>(),
            .n = groups.template arena<Real>(),
            .s = groups.template arena<Real>(),
            .previous = groups.template arena<Real>(),
            .d = d0,
            .gsq_weighted = 0,
            .partial = Arena<double>(3 * groups.runs().size())};
  }

  template <class Exec, class Real>
  void step(const Exec& exec, const ParameterGroups& groups, long t, Real* weights, const Real* gradient,
            State<Real>& state, double factor = 1) const {
    const double eta = schedule(t), lambda = state.d * eta;
    const auto clip = static_cast<Real>(factor);
    if (t == 0) ops::pointwise(exec, groups.runs(), Remember<Real>{clip}, gradient, state.previous.data());
    const Real *p = state.previous.data(), *m = state.m.data(), *v = state.v.data(), *n = state.n.data();
    const Accumulate<Real> accumulate{.first = RunningAverage<Real>(beta1, lambda),
                                      .difference = RunningAverage<Real>(beta2, lambda),
                                      .second = RunningAverage<Real>(beta3),
                                      .sum = RunningAverage<Real>(beta3, lambda),
                                      .b2 = static_cast<Real>(beta2),
                                      .eps = static_cast<Real>(eps),
                                      .factor = clip};
    const auto [G, Q, L1] = ops::pointwise_sums<3>(exec, groups.runs(), state.partial.data(), accumulate, gradient, p,
                                                   state.m.data(), state.v.data(), state.n.data(), state.s.data());
    state.gsq_weighted = beta3 * state.gsq_weighted + (1 - beta3) * lambda * lambda * G;
    if (L1 == 0) return;
    if (eta > 0) state.d = detail::grown(state.d, (Q / (1 - beta3) - state.gsq_weighted) / L1, growth_rate);
    ops::pointwise(exec, groups.runs(),
                   Move<Real>{static_cast<Real>(beta2), static_cast<Real>(eps), clip, lambda * weight_decay}, weights,
                   gradient, state.previous.data(), m, v, n);
  }

 private:
  template <class Real>
  struct Remember {
    Real factor;
    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun&, V g, V& p) const {
      p = factor * g;
    }
  };

  template <class Real>
  struct Accumulate {
    RunningAverage<Real> first, difference, second, sum;
    Real b2, eps, factor;

    template <class Sum, class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun&, Sum (&sums)[3], V g, V p, V& m, V& v, V& n,
                                                V& s) const {
      g = factor * g;
      const V u = g - p, ahead = g + b2 * u;
      m = first(m, g);
      v = difference(v, u);
      n = second(n, ahead * ahead);
      s = sum(s, g);
      const V D = ops::root(n) + eps;
      sums[0] += ops::in_double(ops::ratio<V>(g * g, D));
      sums[1] += ops::in_double(ops::ratio<V>(s * s, D));
      sums[2] += ops::in_double(ops::magnitude(s));
    }
  };

  template <class Real>
  struct Move {
    Real b2, eps, factor;
    double weight_decay;

    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun& run, V& w, V g, V& p, V m, V v, V n) const {
      w = (w - ops::ratio<V>(m + b2 * v, ops::root(n) + eps)) * static_cast<Real>(1 / (1 + run.decay * weight_decay));
      p = factor * g;
    }
  };
};

}  // namespace fieldstep::train
