#pragma once
#include <fieldstep/train/concepts.hpp>
#include <fieldstep/train/optimizer/average.hpp>
#include <fieldstep/train/schedule.hpp>

#include <cmath>

namespace fieldstep::train {

/// Adan, adaptive Nesterov momentum, as MPP's trainer runs it: with p the gradient of the update before, d = g - p, and
/// the betas written as usual (adan_pytorch and the paper write 1 - beta),
///   m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) d,  n <- b3 n + (1 - b3) (g + b2 d)^2    for t > 0,  p <- g
///   w <- (w - eta (m c1 + b2 v c2) / (sqrt(n c3) + eps)) / (1 + eta weight_decay),  c_i = 1 / (1 - b_i^(t+1))
/// The first update knows no p: it accumulates nothing and only decays.
/// Source: Xie et al. 2022, arXiv:2208.06677; adan_pytorch.
template <Schedule Rate = Constant>
struct Adan {
  Rate schedule{};
  double weight_decay = 0, beta1 = .98, beta2 = .92, beta3 = .99, eps = 1e-8;

  template <class Real>
  struct State {
    Arena<Real> m, v, n, previous;
    void visit(const auto& show) { show("m", m), show("v", v), show("n", n), show("previous", previous); }
  };
  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    return {groups.template arena<Real>(), groups.template arena<Real>(), groups.template arena<Real>(),
            groups.template arena<Real>()};
  }

  template <class Exec, class Real>
  void step(const Exec& exec, const ParameterGroups& groups, long t, Real* weights, const Real* gradient,
            State<Real>& state, double factor = 1) const {
    ops::pointwise(exec, groups.runs(), Rule<Real>(*this, t, factor), weights, gradient, state.m.data(), state.v.data(),
                   state.n.data(), state.previous.data());
  }

 private:
  template <class Real>
  struct Rule {
    RunningAverage<Real> first, difference, second;
    Real b2, m_scale, v_scale, n_scale, eps, factor;
    double eta, weight_decay;
    bool accumulate;

    Rule(const Adan& h, long t, double clip)
        : first(h.beta1),
          difference(h.beta2),
          second(h.beta3),
          b2(static_cast<Real>(h.beta2)),
          m_scale(static_cast<Real>(1 / (1 - std::pow(h.beta1, t + 1)))),
          v_scale(static_cast<Real>(h.beta2 / (1 - std::pow(h.beta2, t + 1)))),
          n_scale(static_cast<Real>(1 / (1 - std::pow(h.beta3, t + 1)))),
          eps(static_cast<Real>(h.eps)),
          factor(static_cast<Real>(clip)),
          eta(h.schedule(t)),
          weight_decay(h.weight_decay),
          accumulate(t > 0) {}

    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun& run, V& w, V g, V& m, V& v, V& n, V& p) const {
      g = factor * g;
      if (accumulate) {
        const V d = g - p, ahead = g + b2 * d;
        m = first(m, g);
        v = difference(v, d);
        n = second(n, ahead * ahead);
      }
      const double rate = run.rate * eta;
      const V direction = ops::ratio<V>(m_scale * m + v_scale * v, ops::root(n_scale * n) + eps);
      w = (w - static_cast<Real>(rate) * direction) * static_cast<Real>(1 / (1 + rate * run.decay * weight_decay));
      p = g;
    }
  };
};

}  // namespace fieldstep::train
