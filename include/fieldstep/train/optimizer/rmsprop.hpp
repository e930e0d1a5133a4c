#pragma once
#include <fieldstep/train/concepts.hpp>
#include <fieldstep/train/optimizer/average.hpp>
#include <fieldstep/train/schedule.hpp>

#include <cmath>

namespace fieldstep::train {

/// RMSprop:
///   v <- d v + (1 - d) g^2,  u = -eta g / sqrt(v + eps), or with eps outside -eta g / (sqrt(v) + eps)
///   centered          v - m^2 instead of v,  m <- d m + (1 - d) g
///   bias_correction   v and m divided by 1 - d^(t+1) first
///   momentum          tr <- u + mu tr,  w += tr, nesterov: w += u + mu tr;  behind the learning rate, unlike SGD's
///   without           w += u
/// Source: optax.rmsprop. Here v - m^2, a variance, is not let below 0 by rounding.
template <Schedule Rate = Constant>
struct RMSprop {
  Rate schedule{};
  double decay = .9, eps = 1e-8, initial_scale = 0;
  bool eps_in_sqrt = true, centered = false;
  double momentum = 0;
  bool nesterov = false, bias_correction = false;

  template <class Real>
  struct State {
    Arena<Real> v, m, trace;  ///< m empty unless centered, trace without momentum
    void visit(const auto& show) {
      show("v", v);
      if (m.size() > 0) show("m", m);
      if (trace.size() > 0) show("trace", trace);
    }
  };
  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    return {groups.template arena<Real>(initial_scale), centered ? groups.template arena<Real>() : Arena<Real>(),
            momentum != 0 ? groups.template arena<Real>() : Arena<Real>()};
  }

  template <class Exec, class Real>
  void step(const Exec& exec, const ParameterGroups& groups, long t, Real* weights, const Real* gradient,
            State<Real>& state, double factor = 1) const {
    const auto pass = [&](const auto& rule, auto*... moments) {
      ops::pointwise(exec, groups.runs(), rule, weights, gradient, state.v.data(), moments...);
    };
    if (centered && momentum != 0)
      pass(Rule<Real, true, true>(*this, t, factor), state.m.data(), state.trace.data());
    else if (centered)
      pass(Rule<Real, true, false>(*this, t, factor), state.m.data());
    else if (momentum != 0)
      pass(Rule<Real, false, true>(*this, t, factor), state.trace.data());
    else
      pass(Rule<Real, false, false>(*this, t, factor));
  }

 private:
  template <class Real, bool Centered, bool Momentum>
  struct Rule {
    RunningAverage<Real> average;
    double eta;
    Real scale, inner_eps, outer_eps, mu, factor;
    bool nesterov;

    Rule(const RMSprop& h, long t, double clip)
        : average(h.decay),
          eta(h.schedule(t)),
          scale(static_cast<Real>(h.bias_correction ? 1 / (1 - std::pow(h.decay, t + 1)) : 1)),
          inner_eps(static_cast<Real>(h.eps_in_sqrt ? h.eps : 0)),
          outer_eps(static_cast<Real>(h.eps_in_sqrt ? 0 : h.eps)),
          mu(static_cast<Real>(h.momentum)),
          factor(static_cast<Real>(clip)),
          nesterov(h.nesterov) {}

    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun& run, V& w, V g, V& v) const {
      w += change(run, factor * g, v, v);
    }
    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun& run, V& w, V g, V& v, V& other) const {
      if constexpr (Centered)
        w += change(run, factor * g, v, other);
      else
        w += with_momentum(change(run, factor * g, v, v), other);
    }
    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun& run, V& w, V g, V& v, V& m, V& trace) const {
      w += with_momentum(change(run, factor * g, v, m), trace);
    }

   private:
    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION V change(const ParameterRun& run, V g, V& v, V& m) const {
      v = average(v, g * g);
      V square = scale * v;
      if constexpr (Centered) {
        m = average(m, g);
        const V mean = scale * m, variance = square - mean * mean;
        square = variance > V{} ? variance : V{};
      }
      return static_cast<Real>(-run.rate * eta) * ops::ratio<V>(g, ops::root(square + inner_eps) + outer_eps);
    }
    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION V with_momentum(V u, V& trace) const {
      trace = u + mu * trace;
      return nesterov ? u + mu * trace : trace;
    }
  };
};

}  // namespace fieldstep::train
