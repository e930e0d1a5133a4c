#pragma once
#include <fieldstep/blocks/linear.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/ops/matmul_backward.hpp>

namespace fieldstep::blocks {

/// fc2(gelu(fc1(x))) over the last axis.
///   x, y: (tokens, Dim)
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

  /// What backward reads beside x.
  struct Saved {
    Real* hidden;  ///< (tokens, Hidden): gelu(fc1(x))
    Real* slope;   ///< (tokens, Hidden): gelu'(fc1(x))

    static constexpr Saved take(Carver<Real>& from, int tokens) {
      const std::size_t size = static_cast<std::size_t>(tokens) * Hidden;
      return {from.take(size), from.take(size)};
    }
  };

  /// In inference. Overwrites hidden (tokens, Hidden) and y.
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, int tokens, const Real* x, Real* hidden, Real* y) {
    run(exec, w, tokens, x, hidden, y, ops::BiasGeluEpilogue<Real>{w.fc1.bias.data_handle()});
  }
  /// In training. Overwrites saved and y.
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, int tokens, const Real* x, const Saved& saved, Real* y) {
    run(exec, w, tokens, x, saved.hidden, y,
        ops::BiasGeluSlopeEpilogue<Real>{w.fc1.bias.data_handle(), saved.slope, Hidden});
  }

  /// Adds dL/dx to dx, where the gradient of the residual lies, and to dw. dhidden: (tokens, Hidden), scratch
  template <class Exec>
  static void backward(const Exec& exec, const Weights& w, int tokens, const Real* x, const Saved& saved,
                       const Real* dy, Real* dx, const Params<Real>& dw, Real* dhidden) {
    ops::add_weight_gradient(exec, tokens, ops::RowsLoader<Real>{saved.hidden, Hidden}, dy, Dim, dw.fc2.weight,
                             dw.fc2.bias.data_handle());
    ops::matmul_transposed(exec, tokens, ops::RowsLoader<Real>{dy, Dim}, w.fc2.weight, dhidden, Hidden,
                           ops::MultiplyEpilogue<Real>{saved.slope, Hidden});
    ops::add_weight_gradient(exec, tokens, ops::RowsLoader<Real>{x, Dim}, dhidden, Hidden, dw.fc1.weight,
                             dw.fc1.bias.data_handle());
    ops::matmul_transposed(exec, tokens, ops::RowsLoader<Real>{dhidden, Hidden}, w.fc1.weight, dx, Dim,
                           ops::AddEpilogue<Real>{dx, Dim});
  }

 private:
  template <class Exec, class Epilogue>
  static void run(const Exec& exec, const Weights& w, int tokens, const Real* x, Real* hidden, Real* y,
                  const Epilogue& activation) {
    ops::matmul(exec, tokens, ops::RowsLoader<Real>{x, Dim}, w.fc1.weight, hidden, Hidden, activation);
    Fc2::forward(exec, w.fc2, Batched<const Real, Hidden>(hidden, tokens), Batched<Real, Dim>(y, tokens));
  }
};

}  // namespace fieldstep::blocks
