#pragma once
#include <fieldstep/core/params.hpp>
#include <fieldstep/ops/matmul.hpp>

namespace fieldstep::blocks {

/// An image cut into patches, each a token: a convolution whose stride is its kernel, as one product over patches.
///   x: (samples, Channels, Patch Rows, Patch Columns) -> y: (samples, Rows, Columns, Dim)
/// Source: transformers' Swinv2PatchEmbeddings.
template <class Real, int Channels, int Dim, int Patch, int Rows, int Columns>
struct PatchEmbedding {
  static constexpr int patch_size = Channels * Patch * Patch, positions = Rows * Columns;
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
    void load_row(int row, int k, Real* to) const {
      static_assert(Depth == patch_size);
      const std::ptrdiff_t sample = row / positions;
      const int top = row % positions / Columns * Patch, left = row % Columns * Patch;
      for (int i = k / Patch; i < patch_size / Patch; ++i) {  // i = (channel, a)
        const std::ptrdiff_t line = (sample * Channels + i / Patch) * Rows * Patch + top + i % Patch;
        std::memcpy(to + i * Patch, image + line * Columns * Patch + left, sizeof(Real) * Patch);
      }
    }
  };

  /// Overwrites y.
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, int samples, const Real* x, Real* y) {
    ops::matmul(exec, samples * positions, PatchLoader{x}, w.weight, y, Dim,
                ops::BiasEpilogue<Real>{w.bias.data_handle()});
  }
};

}  // namespace fieldstep::blocks
