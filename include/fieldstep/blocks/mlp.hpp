#pragma once
#include <fieldstep/blocks/linear.hpp>
#include <fieldstep/core/trace.hpp>

namespace fieldstep::blocks {

/// fc2(gelu(fc1(x))) over the last axis.
///   x, y: (tokens, Dim); hidden: (tokens, Hidden)
/// Source: MPP's MLP (models/shared_modules.py).
template <class Real, int Dim, int Hidden = 4 * Dim>
struct MLP {
  using Fc1 = Linear<Real, Dim, Hidden>;
  using Fc2 = Linear<Real, Hidden, Dim>;

  template <class R>
  struct Params {
    typename Fc1::template Params<R> fc1;
    typename Fc2::template Params<R> fc2;
    using hana_accessors_impl = Fields<Field<"fc1", &Params::fc1>, Field<"fc2", &Params::fc2>>;
  };
  using Weights = Params<const Real>;

  /// Overwrites hidden and y.
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, int tokens, const Real* x, Real* hidden, Real* y) {
    ops::matmul(exec, tokens, ops::RowsLoader<Real>{x, Dim}, w.fc1.weight, hidden, Hidden,
                ops::BiasGeluEpilogue<Real>{w.fc1.bias.data_handle()});
    Fc2::forward(exec, w.fc2, Batched<const Real, Hidden>(hidden, tokens), Batched<Real, Dim>(y, tokens));
  }
};

}  // namespace fieldstep::blocks
