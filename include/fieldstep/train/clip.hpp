#pragma once
#include <fieldstep/train/concepts.hpp>

#include <algorithm>
#include <cmath>

// Clipping of gradients: transformations for a Chain.
namespace fieldstep::train {

namespace detail {

struct SumOfSquares {
  template <class Sum, class V>
  KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun&, Sum (&sums)[1], V x) const {
    const auto d = ops::in_double(x);
    sums[0] += d * d;
  }
};

}  // namespace detail

/// The 2-norm of all trained numbers together, summed in double.
///   partial: scratch, a number a run
template <class Exec, class Real>
double global_norm(const Exec& exec, const ParameterGroups& groups, const Real* x, double* partial) {
  return std::sqrt(ops::pointwise_sums<1>(exec, groups.runs(), partial, detail::SumOfSquares{}, x)[0]);
}

namespace detail {

template <class Real>
struct NormState {
  Arena<double> partial;
  double norm = 0;  ///< of the last gradient, before it was clipped
  void visit(const auto&) {}
};

}  // namespace detail

/// g max_norm / |g| where |g| is not below max_norm.
/// Source: optax.clip_by_global_norm.
struct ClipByGlobalNorm {
  double max_norm;

  template <class Real>
  using State = detail::NormState<Real>;
  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    return {.partial = Arena<double>(groups.runs().size())};
  }

  template <class Exec, class Real>
  double apply(const Exec& exec, const ParameterGroups& groups, long, const Real*, const Real* gradient,
               State<Real>& state, double factor) const {
    state.norm = factor * global_norm(exec, groups, gradient, state.partial.data());
    return state.norm < max_norm ? factor : factor * (max_norm / state.norm);
  }
};

/// g min(1, max_norm / (|g| + 1e-6)), as MPP (1), Poseidon (5) and TiDHy have it.
/// Source: torch.nn.utils.clip_grad_norm_.
struct ClipGradNorm {
  double max_norm;

  template <class Real>
  using State = detail::NormState<Real>;
  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    return {.partial = Arena<double>(groups.runs().size())};
  }

  template <class Exec, class Real>
  double apply(const Exec& exec, const ParameterGroups& groups, long, const Real*, const Real* gradient,
               State<Real>& state, double factor) const {
    state.norm = factor * global_norm(exec, groups, gradient, state.partial.data());
    return factor * std::min(1., max_norm / (state.norm + 1e-6));
  }
};

/// Every entry of g to [-max_delta, max_delta].
/// Source: optax.clip.
struct ClipByValue {
  double max_delta;

  template <class Real>
  using State = NoState<Real>;
  template <class Real>
  State<Real> make_state(const ParameterGroups&) const {
    return {};
  }

  template <class Exec, class Real>
  double apply(const Exec& exec, const ParameterGroups& groups, long, const Real*, Real* gradient, State<Real>&,
               double factor) const {
    ops::pointwise(exec, groups.runs(), Rule<Real>{static_cast<Real>(max_delta), static_cast<Real>(factor)}, gradient);
    return 1;
  }

 private:
  template <class Real>
  struct Rule {
    Real limit, factor;
    template <class V>
    KOKKOS_FORCEINLINE_FUNCTION void operator()(const ParameterRun&, V& g) const {
      const V scaled = factor * g, top = V{} + limit;
      g = scaled > top ? top : scaled < -top ? -top : scaled;
    }
  };
};

}  // namespace fieldstep::train
