#pragma once
#include <fieldstep/blocks/detail/nested.hpp>
#include <fieldstep/blocks/rms_instance_norm.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/loaders.hpp>
#include <fieldstep/ops/matmul.hpp>

namespace fieldstep::blocks {

/// Memory of the stem and of the output: two levels of patches, numbers for `samples` samples of Rows x Columns tokens.
template <class Real>
struct PatchScratch {
  Real* fine;    ///< samples x 16 Rows Columns x Dim / 4
  Real* coarse;  ///< samples x 4 Rows Columns x Dim / 4
  Real* scale;   ///< samples x Dim
};

/// Pixels to tokens by three convolutions whose stride is their kernel, 4, 2 and 2, with an RMSInstanceNorm2d after
/// each and a GELU between them. Patches are kept in nested order (ops::NestedPositions), so every convolution is one
/// product.
///   u: (samples, 16 Rows, 16 Columns, Dim / 4) -> tokens (samples, Rows, Columns, Dim)
/// Source: MPP's hMLP_stem (models/spatial_modules.py); Touvron et al. 2022, arXiv:2203.09795.
template <class Real, int Dim, int Rows, int Columns>
struct hMLP_stem {
  static_assert(Dim % 4 == 0, "hMLP_stem: Dim must be a multiple of 4");
  static constexpr int q = Dim / 4, tokens = Rows * Columns;
  template <int Out, int Kernel>
  using ConvLayout = MatrixLayout<Shape<Out, q, Kernel, Kernel>, Shape<Out, q, Kernel, Kernel>, Axes<0>,
                                  Axes<2, 3, 1>>;  // k = (a, b, in)

  template <class R>
  struct Params {
    Packed<R, ConvLayout<q, 4>> conv0;
    typename RMSInstanceNorm2d<Real, q>::template Params<R> norm1;
    Packed<R, ConvLayout<q, 2>> conv3;
    typename RMSInstanceNorm2d<Real, q>::template Params<R> norm4;
    Packed<R, ConvLayout<Dim, 2>> conv6;
    typename RMSInstanceNorm2d<Real, Dim>::template Params<R> norm7;
    using hana_accessors_impl =
        Fields<Field<"in_proj.0.weight", &Params::conv0, init_weight(16 * q)>, Field<"in_proj.1", &Params::norm1>,
               Field<"in_proj.3.weight", &Params::conv3, init_weight(4 * q)>, Field<"in_proj.4", &Params::norm4>,
               Field<"in_proj.6.weight", &Params::conv6, init_weight(4 * q)>, Field<"in_proj.7", &Params::norm7>>;
  };
  using Weights = Params<const Real>;

  /// Loads the 4x4 patches of a channels-last image: k = (a, b, in).
  struct PatchLoader {
    const Real* u;
    template <int Depth>
    void load_row(int row, int k, Real* to) const {
      using Nested = ops::NestedPositions<Rows, Columns>;
      const std::ptrdiff_t sample = row / Nested::count;
      const int position = row % Nested::count;
      const int top = 4 * Nested::row(position), left = 4 * Nested::column(position);
      for (int i = 0; i < Depth; ++i) {
        const int a = (k + i) / (4 * q), rest = (k + i) % (4 * q);  // rest = (b, in) runs along a pixel row
        to[i] = u[((sample * 16 * Rows + top + a) * 16 * Columns + left) * q + rest];
      }
    }
  };

  /// Overwrites x (samples, Rows, Columns, Dim) from u (samples, 16 Rows, 16 Columns, q).
  template <class Exec, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, int batch, int frames, const Real* u, Real* x,
                      const PatchScratch<Real>& scratch, const Tracer& trace = {}) {
    const int samples = batch * frames;
    ops::matmul(exec, samples * 16 * tokens, PatchLoader{u}, w.conv0, scratch.fine, q, ops::PlainEpilogue<Real>{});
    from_patches(exec, w, batch, frames, x, scratch, trace);
  }

  /// The rest of forward, once scratch.fine holds the first convolution's result in nested order.
  template <class Exec, class Tracer = NoTrace>
  static void from_patches(const Exec& exec, const Weights& w, int batch, int frames, Real* x,
                           const PatchScratch<Real>& scratch, const Tracer& trace = {}) {
    const int samples = batch * frames;
    RMSInstanceNorm2d<Real, q>::scales(exec, w.norm1, samples, 16 * tokens, scratch.fine, scratch.scale);
    detail::show_stage<Rows, Columns, 4, q>(exec, trace, "in_proj", 0, batch, frames, scratch.fine, scratch.scale);
    ops::matmul(exec, samples * 4 * tokens,
                ops::NormLoader<Real, 4 * q, q, false, true>{scratch.fine, scratch.scale, nullptr, 4 * tokens, {}},
                w.conv3, scratch.coarse, q, ops::PlainEpilogue<Real>{});
    RMSInstanceNorm2d<Real, q>::scales(exec, w.norm4, samples, 4 * tokens, scratch.coarse, scratch.scale);
    detail::show_stage<Rows, Columns, 2, q>(exec, trace, "in_proj", 3, batch, frames, scratch.coarse, scratch.scale);
    ops::matmul(exec, samples * tokens,
                ops::NormLoader<Real, 4 * q, q, false, true>{scratch.coarse, scratch.scale, nullptr, tokens, {}},
                w.conv6, x, Dim, ops::PlainEpilogue<Real>{});
    if constexpr (Tracer::active) trace("in_proj.6", "btijc", {batch, frames, Rows, Columns, Dim}, x);
    RMSInstanceNorm2d<Real, Dim>::forward(exec, w.norm7, samples, tokens, x, scratch.scale, x);
    if constexpr (Tracer::active) {
      trace("in_proj.7", "btijc", {batch, frames, Rows, Columns, Dim}, x);
      trace("", "btijc", {batch, frames, Rows, Columns, Dim}, x);
    }
  }
};

}  // namespace fieldstep::blocks
