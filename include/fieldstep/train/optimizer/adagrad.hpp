#pragma once
#include <fieldstep/train/concepts.hpp>
#include <fieldstep/train/schedule.hpp>

namespace fieldstep::train {

/// Adagrad:
///   s <- s + g^2,  w -= eta g / sqrt(s + eps)
/// Source: Duchi, Hazan, Singer 2011, JMLR 12; optax.adagrad.
template <Schedule Rate = Constant>
struct Adagrad {
  Rate schedule{};
  double initial_accumulator = .1, eps = 1e-7;

  template <class Real>
  struct State {
    Arena<Real> s;
    void visit(const auto& show) { show("s", s); }
  };
  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    return {groups.template arena<Real>(initial_accumulator)};
  }

  template <class Exec, class Real>
  void step(const Exec& exec, const ParameterGroups& groups, long t, Real* weights, const Real* gradient,
            State<Real>& state, double factor = 1) const {
    const Rule<Real> rule{schedule(t), static_cast<Real>(eps), static_cast<Real>(factor)};
    ops::pointwise(exec, groups.runs(), rule, weights, gradient, state.s.data());
  }

 private:
  template <class Real>
  struct Rule {
    double eta;
    Real eps, factor;

    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun& run, V& w, V g, V& s) const {
      g = factor * g;
      s += g * g;
      w -= static_cast<Real>(run.rate * eta) * ops::ratio<V>(g, ops::root(s + eps));
    }
  };
};

}  // namespace fieldstep::train
