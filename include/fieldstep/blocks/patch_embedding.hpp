#pragma once
#include <fieldstep/core/params.hpp>
#include <fieldstep/ops/matmul_backward.hpp>
#include <fieldstep/ops/patches.hpp>

namespace fieldstep::blocks {

/// An image cut into patches, each a token: a convolution whose stride is its kernel, as one product over patches.
///   x: (samples, Channels, Patch Rows, Patch Columns) -> y: (samples, Rows, Columns, Dim)
/// Source: transformers' Swinv2PatchEmbeddings.
template <class Real, int Channels, int Dim, int Patch, int Rows, int Columns>
struct PatchEmbedding {
  using Patches = ops::PatchGrid<Channels, Patch, Rows, Columns>;
  static constexpr int patch_size = Patches::patch_size, positions = Rows * Columns;
  using Layout = MatrixLayout<Shape<Dim, Channels, Patch, Patch>, Shape<Dim, Channels, Patch, Patch>, Axes<0>,
                              Axes<1, 2, 3>>;  // k = (channel, a, b)

  template <class R>
  struct Params {
    Packed<R, Layout> weight;
    Tensor<R, Dim> bias{nullptr};
    using hana_accessors_impl = Fields<Field<"projection.weight", &Params::weight, init_normal(0.02, patch_size)>,
                                       Field<"projection.bias", &Params::bias, init_constant(0)>>;
  };
  using Weights = Params<const Real>;

  struct PatchLoader {
    const Real* image;
    template <int Depth>
    void load_row(int row, int, Real* to) const {
      static_assert(Depth == patch_size);
      Patches::read_patch(image, row, to);
    }
  };

  /// Overwrites y.
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, int samples, const Real* x, Real* y) {
    ops::matmul(exec, samples * positions, PatchLoader{x}, w.weight, y, Dim,
                ops::BiasEpilogue<Real>{w.bias.data_handle()});
  }

  /// Adds to dw and overwrites dx, unless it is null, by way of patches (samples, positions, patch_size).
  template <class Exec>
  static void backward(const Exec& exec, const Weights& w, int samples, const Real* x, const Real* dy, Real* dx,
                       const Params<Real>& dw, Real* patches) {
    const int tokens = samples * positions;
    ops::add_weight_gradient(exec, tokens, PatchLoader{x}, dy, Dim, dw.weight, dw.bias.data_handle());
    if (!dx) return;
    ops::matmul_transposed(exec, tokens, ops::RowsLoader<Real>{dy, Dim}, w.weight, patches, patch_size,
                           ops::PlainEpilogue<Real>{});
    Patches::to_image(exec, samples, static_cast<const Real*>(patches), dx);
  }
};

}  // namespace fieldstep::blocks
