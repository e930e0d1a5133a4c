#pragma once
#include <fieldstep/blocks/detail/nested.hpp>
#include <fieldstep/blocks/norm_backward.hpp>
#include <fieldstep/blocks/rms_instance_norm.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/gelu_backward.hpp>
#include <fieldstep/ops/loaders.hpp>
#include <fieldstep/ops/matmul_backward.hpp>

#include <concepts>

namespace fieldstep::blocks {

/// Memory of the stem and of the output in inference: two levels of patches, numbers for `samples` samples of Rows x
/// Columns tokens.
template <class Real>
struct PatchScratch {
  Real* fine;    ///< samples x 16 Rows Columns x Dim / 4
  Real* coarse;  ///< samples x 4 Rows Columns x Dim / 4
  Real* scale;   ///< samples x Dim
};

/// Fields to tokens by three convolutions whose stride is their kernel, 4, 2 and 2, with an RMSInstanceNorm2d after
/// each and a GELU between them. Patches are kept in nested order (ops::NestedPositions), so every convolution is one
/// product. The first is folded with the linear map in front of it, u[pixel] = sum_c columns[c] x[pixel, c] + constant
/// (SubsampledLinear): nothing lies between the two.
///   fields: (samples, Fields, 16 Rows, 16 Columns), standardised -> tokens (samples, Rows, Columns, Dim)
/// Source: MPP's hMLP_stem (models/spatial_modules.py); Touvron et al. 2022, arXiv:2203.09795.
template <class Real, int Dim, int Rows, int Columns, int Fields>
struct hMLP_stem {
  static_assert(Dim % 4 == 0, "hMLP_stem: Dim must be a multiple of 4");
  static constexpr int q = Dim / 4, tokens = Rows * Columns;
  template <int Out, int Kernel>
  using ConvLayout = MatrixLayout<Shape<Out, q, Kernel, Kernel>, Shape<Out, q, Kernel, Kernel>, Axes<0>,
                                  Axes<2, 3, 1>>;  // k = (a, b, in)
  template <int Channels>
  using Norm = RMSInstanceNorm2d<Real, Channels>;
  /// The first convolution for the fields in use: row k = (field, a, b).
  using First = Packed<Real, LinearLayout<16 * Fields, q>>;

  template <class R>
  struct Params {
    Packed<R, ConvLayout<q, 4>> conv0;
    typename Norm<q>::template Params<R> norm1;
    Packed<R, ConvLayout<q, 2>> conv3;
    typename Norm<q>::template Params<R> norm4;
    Packed<R, ConvLayout<Dim, 2>> conv6;
    typename Norm<Dim>::template Params<R> norm7;
    using hana_accessors_impl = fieldstep::Fields<
        Field<"in_proj.0.weight", &Params::conv0, init_weight(16 * q)>, Field<"in_proj.1", &Params::norm1>,
        Field<"in_proj.3.weight", &Params::conv3, init_weight(4 * q)>, Field<"in_proj.4", &Params::norm4>,
        Field<"in_proj.6.weight", &Params::conv6, init_weight(4 * q)>, Field<"in_proj.7", &Params::norm7>>;
  };
  using Weights = Params<const Real>;

  /// Overwrites first and bias (q): first[(c, a, b), o] = sum_p conv0[(a, b, p), o] columns[c, p], and bias likewise
  /// from the constant. columns: (Fields, q), constant: (q)
  static void fold(const Weights& w, const Real* columns, const Real* constant, First first, Real* bias) {
    for (int o = 0; o < q; ++o) {
      Real sum_of_all = 0;
      for (int ab = 0; ab < 16; ++ab)
        for (int in = 0; in < q; ++in) sum_of_all += w.conv0(ab * q + in, o) * constant[in];
      bias[o] = sum_of_all;
      for (int c = 0; c < Fields; ++c)
        for (int ab = 0; ab < 16; ++ab) {
          Real sum = 0;
          for (int in = 0; in < q; ++in) sum += w.conv0(ab * q + in, o) * columns[c * q + in];
          first(16 * c + ab, o) = sum;
        }
    }
    // Surplus columns of the last panel are multiplied but never stored.
    for (int n = q; n < first.padded_N; ++n)
      for (int k = 0; k < first.K; ++k) first(k, n) = 0;
  }

  /// Gradient of fold: adds to dw, dcolumns and dconstant.
  static void fold_backward(const Weights& w, const Real* columns, const Real* constant, First dfirst,
                            const Real* dbias, const Params<Real>& dw, Real* dcolumns, Real* dconstant) {
    for (int ab = 0; ab < 16; ++ab)
      for (int in = 0; in < q; ++in)
        for (int o = 0; o < q; ++o) {
          const Real weight = w.conv0(ab * q + in, o);
          Real sum = dbias[o] * constant[in];
          dconstant[in] += dbias[o] * weight;
          for (int c = 0; c < Fields; ++c) {
            sum += dfirst(16 * c + ab, o) * columns[c * q + in];
            dcolumns[c * q + in] += dfirst(16 * c + ab, o) * weight;
          }
          dw.conv0(ab * q + in, o) += sum;
        }
  }

  /// Standardised 4x4 patches of the fields, in nested order; k = (field, a, b).
  ///   x: (batch, frames, Fields, 16 Rows, 16 Columns); mean, deviation: (batch, Fields)
  struct Input {
    const Real* x;
    const Real* mean;
    const Real* deviation;
    int frames;

    template <int Depth>
    void load_row(int row, int k, Real* to) const {
      static_assert(Depth % 4 == 0);
      constexpr int L = ops::lanes_for<Real>(4);
      using Nested = ops::NestedPositions<Rows, Columns>;
      const std::ptrdiff_t sample = row / Nested::count;
      const int position = row % Nested::count, first_field = static_cast<int>(sample / frames) * Fields;
      const int top = 4 * Nested::row(position), left = 4 * Nested::column(position);
      for (int i = 0; i < Depth; i += 4) {
        const int c = (k + i) / 16, a = (k + i) % 16 / 4;
        const Real* from = x + ((sample * Fields + c) * 16 * Rows + top + a) * 16 * Columns + left;
        for (int b = 0; b < 4; b += L)
          ops::store<L>(to + i + b, (ops::load<L>(from + b) - mean[first_field + c]) / deviation[first_field + c]);
      }
    }
  };

  /// What backward reads beside the fields: places that share scratch memory in inference.
  struct Saved {
    Real *fine, *fine_scale;      ///< (samples, 16 tokens, q): the first convolution's result; (samples, q): its norm's
    Real *coarse, *coarse_scale;  ///< (samples, 4 tokens, q) and (samples, q): the second's
    Real* convolved;              ///< (samples, tokens, Dim): the third's

    static constexpr Saved take(Carver<Real>& from, int samples) {
      const std::size_t channels = static_cast<std::size_t>(samples) * q;
      return {from.take(channels * 16 * tokens), from.take(channels), from.take(channels * 4 * tokens),
              from.take(channels), from.take(channels * 4 * tokens)};
    }
  };

  /// Overwrites y (samples, Rows, Columns, Dim). first, bias: from fold. In training only scratch.scale is written.
  template <class Exec, class Save = NoSave, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, First first, const Real* bias, int batch, const Input& x,
                      Real* y, const PatchScratch<Real>& scratch, const Save& save = {}, const Tracer& trace = {}) {
    const int samples = batch * x.frames;
    const Saved at = [&] {
      if constexpr (std::same_as<Save, Saved>)
        return save;
      else
        return Saved{scratch.fine, scratch.scale, scratch.coarse, scratch.scale, y};
    }();
    ops::matmul(exec, samples * 16 * tokens, x, Packed<const Real, typename First::Layout>(first), at.fine, q,
                ops::BiasEpilogue<Real>{bias});
    Norm<q>::scales(exec, w.norm1, samples, 16 * tokens, at.fine, at.fine_scale);
    detail::show_stage<Rows, Columns, 4, q>(exec, trace, "in_proj", 0, batch, x.frames, at.fine, at.fine_scale);
    ops::matmul(exec, samples * 4 * tokens, activated(at.fine, at.fine_scale, 4 * tokens), w.conv3, at.coarse, q,
                ops::PlainEpilogue<Real>{});
    Norm<q>::scales(exec, w.norm4, samples, 4 * tokens, at.coarse, at.coarse_scale);
    detail::show_stage<Rows, Columns, 2, q>(exec, trace, "in_proj", 3, batch, x.frames, at.coarse, at.coarse_scale);
    ops::matmul(exec, samples * tokens, activated(at.coarse, at.coarse_scale, tokens), w.conv6, at.convolved, Dim,
                ops::PlainEpilogue<Real>{});
    if constexpr (Tracer::active) trace("in_proj.6", "btijc", {batch, x.frames, Rows, Columns, Dim}, at.convolved);
    Norm<Dim>::forward(exec, w.norm7, samples, tokens, at.convolved, scratch.scale, y);
    if constexpr (Tracer::active) {
      trace("in_proj.7", "btijc", {batch, x.frames, Rows, Columns, Dim}, y);
      trace("", "btijc", {batch, x.frames, Rows, Columns, Dim}, y);
    }
  }

  /// g: dL/dy on entry, used up. Overwrites dpatches, the gradient of the standardised fields in the order of Input,
  /// unless it is null; adds to dw, dfirst and dbias. scratch.wide keeps the gradient of the first convolution's
  /// result.
  template <class Exec>
  static void backward(const Exec& exec, const Weights& w, First first, int batch, const Input& x, const Saved& saved,
                       Real* g, Real* dpatches, const Params<Real>& dw, First dfirst, Real* dbias,
                       const GradientScratch<Real>& scratch) {
    const int samples = batch * x.frames;
    Real *dcoarse = scratch.branch, *dfine = scratch.wide;
    Norm<Dim>::backward(exec, w.norm7, samples, tokens, saved.convolved, g, nullptr, g, dw.norm7, scratch.affine);
    ops::add_weight_gradient(exec, samples * tokens, activated(saved.coarse, saved.coarse_scale, tokens), g, Dim,
                             dw.conv6);
    ops::matmul_transposed(exec, samples * tokens, ops::RowsLoader<Real>{g, Dim}, w.conv6, dcoarse, 4 * q,
                           ops::PlainEpilogue<Real>{});
    ops::scaled_gelu_backward<q>(exec, samples, 4 * tokens, saved.coarse, saved.coarse_scale, dcoarse);
    Norm<q>::backward(exec, w.norm4, samples, 4 * tokens, saved.coarse, dcoarse, nullptr, dcoarse, dw.norm4,
                      scratch.affine);
    ops::add_weight_gradient(exec, samples * 4 * tokens, activated(saved.fine, saved.fine_scale, 4 * tokens), dcoarse,
                             q, dw.conv3);
    ops::matmul_transposed(exec, samples * 4 * tokens, ops::RowsLoader<Real>{dcoarse, q}, w.conv3, dfine, 4 * q,
                           ops::PlainEpilogue<Real>{});
    ops::scaled_gelu_backward<q>(exec, samples, 16 * tokens, saved.fine, saved.fine_scale, dfine);
    Norm<q>::backward(exec, w.norm1, samples, 16 * tokens, saved.fine, dfine, nullptr, dfine, dw.norm1, scratch.affine);
    ops::add_weight_gradient(exec, samples * 16 * tokens, x, dfine, q, dfirst, dbias);
    if (dpatches)
      ops::matmul_transposed(exec, samples * 16 * tokens, ops::RowsLoader<Real>{dfine, q},
                             Packed<const Real, typename First::Layout>(first), dpatches, 16 * Fields,
                             ops::PlainEpilogue<Real>{});
  }

 private:
  /// gelu(norm) of 2x2 patches of the level below, `positions` of them a sample.
  static ops::NormLoader<Real, 4 * q, q, false, true> activated(const Real* x, const Real* scale, int positions) {
    return {x, scale, nullptr, positions, {}};
  }
};

}  // namespace fieldstep::blocks
