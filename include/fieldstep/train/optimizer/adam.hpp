#pragma once
#include <fieldstep/train/concepts.hpp>
#include <fieldstep/train/optimizer/average.hpp>
#include <fieldstep/train/schedule.hpp>

#include <cmath>

namespace fieldstep::train {

namespace detail {

template <class Real>
struct AdamState {
  Arena<Real> m, v;
  void visit(const auto& show) { show("m", m), show("v", v); }
};

/// The update of Adam and AdamW, whose hyper-parameters have the same names.
template <class Real>
struct AdamRule {
  RunningAverage<Real> first, second;
  Real m_scale, g_scale, v_scale, eps, eps_root, factor;
  double eta, weight_decay;

  template <class Hyper>
  AdamRule(const Hyper& h, double decay, long t, double clip)
      : first(h.beta1),
        second(h.beta2),
        m_scale(static_cast<Real>((h.nesterov ? h.beta1 : 1) / (1 - std::pow(h.beta1, t + (h.nesterov ? 2 : 1))))),
        g_scale(static_cast<Real>(h.nesterov ? (1 - h.beta1) / (1 - std::pow(h.beta1, t + 1)) : 0)),
        v_scale(static_cast<Real>(1 / (1 - std::pow(h.beta2, t + 1)))),
        eps(static_cast<Real>(h.eps)),
        eps_root(static_cast<Real>(h.eps_root)),
        factor(static_cast<Real>(clip)),
        eta(h.schedule(t)),
        weight_decay(decay) {}

  template <class V>
  KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun& run, V& w, V g, V& m, V& v) const {
    g = factor * g;
    m = first(m, g);
    v = second(v, g * g);
    const V direction = ops::ratio<V>(m_scale * m + g_scale * g, ops::root(v_scale * v + eps_root) + eps);
    w -= static_cast<Real>(run.rate * eta) * (direction + static_cast<Real>(run.decay * weight_decay) * w);
  }
};

}  // namespace detail

/// Adam: with n = t + 1,
///   m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2
///   w -= eta m_hat / (sqrt(v / (1 - b2^n) + eps_root) + eps)
///   m_hat = m / (1 - b1^n),  nesterov: b1 m / (1 - b1^(n+1)) + (1 - b1) g / (1 - b1^n)
/// Source: Kingma and Ba 2015, arXiv:1412.6980; optax.adam. Weight decay of the gradient: AddDecayedWeights before it.
template <Schedule Rate = Constant>
struct Adam {
  Rate schedule{};
  double beta1 = .9, beta2 = .999, eps = 1e-8, eps_root = 0;
  bool nesterov = false;

  template <class Real>
  using State = detail::AdamState<Real>;
  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    return {groups.template arena<Real>(), groups.template arena<Real>()};
  }

  template <class Exec, class Real>
  void step(const Exec& exec, const ParameterGroups& groups, long t, Real* weights, const Real* gradient,
            State<Real>& state, double factor = 1) const {
    ops::pointwise(exec, groups.runs(), detail::AdamRule<Real>(*this, 0, t, factor), weights, gradient, state.m.data(),
                   state.v.data());
  }
};

}  // namespace fieldstep::train
