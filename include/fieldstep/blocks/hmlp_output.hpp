#pragma once
#include <fieldstep/blocks/hmlp_stem.hpp>  // PatchScratch

#include <span>

namespace fieldstep::blocks {

/// Tokens to pixels of the fields in use by three transposed convolutions whose stride is their kernel, 2, 2 and 4,
/// with an RMSInstanceNorm2d and a GELU after the first two. Patches stay in nested order (ops::NestedPatches makes the
/// image of them).
///   tokens (samples, Rows, Columns, Dim) -> patches (samples, 16 Rows Columns, Fields, 4, 4)
/// Source: MPP's hMLP_output (models/spatial_modules.py).
template <class Real, int Dim, int States, int Rows, int Columns, int Fields>
struct hMLP_output {
  static constexpr int q = Dim / 4, tokens = Rows * Columns;
  template <int In>
  using ConvTransposeLayout =
      MatrixLayout<Shape<In, q, 2, 2>, Shape<In, q, 2, 2>, Axes<2, 3, 1>, Axes<0>>;  // n = (a, b, out)
  using Norm = RMSInstanceNorm2d<Real, q>;
  /// The last convolution for the labels in use: column n = (field, a, b).
  using Head = Packed<Real, LinearLayout<q, 16 * Fields>>;

  template <class R>
  struct Params {
    Tensor<R, q, States, 4, 4> out_kernel{nullptr};
    Tensor<R, States> out_bias{nullptr};
    Packed<R, ConvTransposeLayout<Dim>> conv0;
    typename Norm::template Params<R> norm1;
    Packed<R, ConvTransposeLayout<q>> conv3;
    typename Norm::template Params<R> norm4;
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

  /// Adds the gradient of gather to dw: repeated labels add up, absent ones get nothing.
  static void gather_backward(std::span<const int> states, Head dhead, const Real* dbias, const Params<Real>& dw) {
    for (int c = 0; c < Fields; ++c)
      for (int n = 0; n < 16; ++n) {
        const int state = states[static_cast<std::size_t>(c)];
        for (int k = 0; k < q; ++k) dw.out_kernel(k, state, n / 4, n % 4) += dhead(k, 16 * c + n);
        dw.out_bias(state) += dbias[16 * c + n];
      }
  }

  /// What backward reads beside x: places that share scratch memory in inference.
  struct Saved {
    Real *coarse, *coarse_scale;  ///< (samples, 4 tokens, q): the first convolution's result; (samples, q): its norm's
    Real *fine, *fine_scale;      ///< (samples, 16 tokens, q) and (samples, q): the second's

    static constexpr Saved take(Carver<Real>& from, int samples) {
      const std::size_t channels = static_cast<std::size_t>(samples) * q;
      return {from.take(channels * 4 * tokens), from.take(channels), from.take(channels * 16 * tokens),
              from.take(channels)};
    }
  };

  /// Overwrites patches. head, head_bias: from gather; scratch: not used in training.
  template <class Exec, class Save = NoSave, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, Head head, const Real* head_bias, int batch, int frames,
                      const Real* x, Real* patches, const PatchScratch<Real>& scratch, const Save& save = {},
                      const Tracer& trace = {}) {
    const int samples = batch * frames;
    const Saved at = [&] {
      if constexpr (std::same_as<Save, Saved>)
        return save;
      else
        return Saved{scratch.coarse, scratch.scale, scratch.fine, scratch.scale};
    }();
    ops::matmul(exec, samples * tokens, ops::RowsLoader<Real>{x, Dim}, w.conv0, at.coarse, 4 * q,
                ops::PlainEpilogue<Real>{});
    Norm::scales(exec, w.norm1, samples, 4 * tokens, at.coarse, at.coarse_scale);
    detail::show_stage<Rows, Columns, 2, q>(exec, trace, "out_proj", 0, batch, frames, at.coarse, at.coarse_scale);
    ops::matmul(exec, samples * 4 * tokens, activated(at.coarse, at.coarse_scale, 4 * tokens), w.conv3, at.fine, 4 * q,
                ops::PlainEpilogue<Real>{});
    Norm::scales(exec, w.norm4, samples, 16 * tokens, at.fine, at.fine_scale);
    detail::show_stage<Rows, Columns, 4, q>(exec, trace, "out_proj", 3, batch, frames, at.fine, at.fine_scale);
    ops::matmul(exec, samples * 16 * tokens, activated(at.fine, at.fine_scale, 16 * tokens),
                Packed<const Real, typename Head::Layout>(head), patches, 16 * Fields,
                ops::BiasEpilogue<Real>{head_bias});
  }

  /// Overwrites dx from dpatches, the gradient of patches; adds to dw, dhead and dhead_bias.
  template <class Exec>
  static void backward(const Exec& exec, const Weights& w, Head head, int samples, const Real* x, const Saved& saved,
                       const Real* dpatches, Real* dx, const Params<Real>& dw, Head dhead, Real* dhead_bias,
                       const GradientScratch<Real>& scratch) {
    Real *dcoarse = scratch.branch, *dfine = scratch.wide;
    ops::add_weight_gradient(exec, samples * 16 * tokens, activated(saved.fine, saved.fine_scale, 16 * tokens),
                             dpatches, 16 * Fields, dhead, dhead_bias);
    ops::matmul_transposed(exec, samples * 16 * tokens, ops::RowsLoader<Real>{dpatches, 16 * Fields},
                           Packed<const Real, typename Head::Layout>(head), dfine, q, ops::PlainEpilogue<Real>{});
    ops::scaled_gelu_backward<q>(exec, samples, 16 * tokens, saved.fine, saved.fine_scale, dfine);
    Norm::backward(exec, w.norm4, samples, 16 * tokens, saved.fine, dfine, nullptr, dfine, dw.norm4, scratch.affine);
    ops::add_weight_gradient(exec, samples * 4 * tokens, activated(saved.coarse, saved.coarse_scale, 4 * tokens), dfine,
                             4 * q, dw.conv3);
    ops::matmul_transposed(exec, samples * 4 * tokens, ops::RowsLoader<Real>{dfine, 4 * q}, w.conv3, dcoarse, q,
                           ops::PlainEpilogue<Real>{});
    ops::scaled_gelu_backward<q>(exec, samples, 4 * tokens, saved.coarse, saved.coarse_scale, dcoarse);
    Norm::backward(exec, w.norm1, samples, 4 * tokens, saved.coarse, dcoarse, nullptr, dcoarse, dw.norm1,
                   scratch.affine);
    ops::add_weight_gradient(exec, samples * tokens, ops::RowsLoader<Real>{x, Dim}, dcoarse, 4 * q, dw.conv0);
    ops::matmul_transposed(exec, samples * tokens, ops::RowsLoader<Real>{dcoarse, 4 * q}, w.conv0, dx, Dim,
                           ops::PlainEpilogue<Real>{});
  }

 private:
  /// gelu(norm) of the level above, `positions` rows a sample.
  static ops::NormLoader<Real, q, q, false, true> activated(const Real* x, const Real* scale, int positions) {
    return {x, scale, nullptr, positions, {}};
  }
};

}  // namespace fieldstep::blocks
