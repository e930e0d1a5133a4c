#pragma once
#include <fieldstep/blocks/hmlp_stem.hpp>  // PatchScratch

#include <span>

namespace fieldstep::blocks {

/// Tokens to pixels of the fields in use by three transposed convolutions whose stride is their kernel, 2, 2 and 4,
/// with an RMSInstanceNorm2d and a GELU after the first two. Patches stay in nested order until the last step writes
/// the image.
///   tokens (samples, Rows, Columns, Dim) -> y (samples, Fields, 16 Rows, 16 Columns)
/// Source: MPP's hMLP_output (models/spatial_modules.py).
template <class Real, int Dim, int States, int Rows, int Columns, int Fields>
struct hMLP_output {
  static constexpr int q = Dim / 4, tokens = Rows * Columns;
  template <int In>
  using ConvTransposeLayout =
      MatrixLayout<Shape<In, q, 2, 2>, Shape<In, q, 2, 2>, Axes<2, 3, 1>, Axes<0>>;  // n = (a, b, out)
  /// The last convolution for the labels in use: column n = (field, a, b).
  using Head = Packed<Real, LinearLayout<q, 16 * Fields>>;

  template <class R>
  struct Params {
    Tensor<R, q, States, 4, 4> out_kernel{nullptr};
    Tensor<R, States> out_bias{nullptr};
    Packed<R, ConvTransposeLayout<Dim>> conv0;
    typename RMSInstanceNorm2d<Real, q>::template Params<R> norm1;
    Packed<R, ConvTransposeLayout<q>> conv3;
    typename RMSInstanceNorm2d<Real, q>::template Params<R> norm4;
    using hana_accessors_impl = fieldstep::Fields<
        Field<"out_kernel", &Params::out_kernel, init_weight(16 * States, 4 * States * q)>,
        Field<"out_bias", &Params::out_bias, init_bias(16 * States)>,
        Field<"out_proj.0.weight", &Params::conv0, init_weight(4 * q)>, Field<"out_proj.1", &Params::norm1>,
        Field<"out_proj.3.weight", &Params::conv3, init_weight(4 * q)>, Field<"out_proj.4", &Params::norm4>>;
  };
  using Weights = Params<const Real>;

  /// Overwrites head and bias (16 Fields) with the kernel and bias of the labels in use, each 0 <= label < States.
  static void gather(const Weights& w, std::span<const int> states, Head head, Real* bias) {
    for (int c = 0; c < Fields; ++c)
      for (int n = 0; n < 16; ++n) {
        const int state = states[static_cast<std::size_t>(c)];
        for (int k = 0; k < q; ++k) head(k, 16 * c + n) = w.out_kernel(k, state, n / 4, n % 4);
        bias[16 * c + n] = w.out_bias(state);
      }
  }

  /// Overwrites patches (samples, 16 Rows Columns in nested order, Fields, 4, 4) from x (samples, Rows, Columns, Dim).
  template <class Exec, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, Packed<const Real, typename Head::Layout> head,
                      const Real* head_bias, int batch, int frames, const Real* x, Real* patches,
                      const PatchScratch<Real>& scratch, const Tracer& trace = {}) {
    const int samples = batch * frames;
    ops::matmul(exec, samples * tokens, ops::RowsLoader<Real>{x, Dim}, w.conv0, scratch.coarse, 4 * q,
                ops::PlainEpilogue<Real>{});
    RMSInstanceNorm2d<Real, q>::scales(exec, w.norm1, samples, 4 * tokens, scratch.coarse, scratch.scale);
    detail::show_stage<Rows, Columns, 2, q>(exec, trace, "out_proj", 0, batch, frames, scratch.coarse, scratch.scale);
    ops::matmul(exec, samples * 4 * tokens,
                ops::NormLoader<Real, q, q, false, true>{scratch.coarse, scratch.scale, nullptr, 4 * tokens, {}},
                w.conv3, scratch.fine, 4 * q, ops::PlainEpilogue<Real>{});
    RMSInstanceNorm2d<Real, q>::scales(exec, w.norm4, samples, 16 * tokens, scratch.fine, scratch.scale);
    detail::show_stage<Rows, Columns, 4, q>(exec, trace, "out_proj", 3, batch, frames, scratch.fine, scratch.scale);
    ops::matmul(exec, samples * 16 * tokens,
                ops::NormLoader<Real, q, q, false, true>{scratch.fine, scratch.scale, nullptr, 16 * tokens, {}}, head,
                patches, 16 * Fields, ops::BiasEpilogue<Real>{head_bias});
  }

  /// Writes patches as an image: y (samples, Fields, 16 Rows, 16 Columns) = patch * scale + shift, scale and shift
  /// (samples, Fields) or null for 1 and 0.
  template <class Exec>
  static void to_image(const Exec& exec, int samples, const Real* patches, const Real* scale, const Real* shift,
                       Real* y) {
    using Nested = ops::NestedPositions<Rows, Columns>;
    for_ranges(exec, samples * Nested::count, [=](int begin, int end) {
      for (int item = begin; item < end; ++item) {
        const int sample = item / Nested::count, position = item % Nested::count;
        const int top = 4 * Nested::row(position), left = 4 * Nested::column(position);
        const Real* from = patches + static_cast<std::ptrdiff_t>(item) * 16 * Fields;
        for (int c = 0; c < Fields; ++c) {
          const std::ptrdiff_t field = static_cast<std::ptrdiff_t>(sample) * Fields + c;
          const Real a = scale ? scale[field] : Real(1), b = shift ? shift[field] : Real(0);
          for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j)
              y[(field * 16 * Rows + top + i) * 16 * Columns + left + j] = from[(c * 4 + i) * 4 + j] * a + b;
        }
      }
    });
  }
};

}  // namespace fieldstep::blocks
