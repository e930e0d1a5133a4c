#pragma once
#include <fieldstep/blocks/norm_backward.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/core/params.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/framed_conv.hpp>
#include <fieldstep/ops/matmul_backward.hpp>
#include <fieldstep/ops/patches.hpp>

#include <algorithm>
#include <vector>

namespace fieldstep::blocks {

/// Tokens back to an image: a transposed convolution whose stride is its kernel, then a 5x5 convolution over all
/// channels without bias.
///   x: (samples, Rows, Columns, Dim) -> y: (samples, Channels, Patch Rows, Patch Columns)
/// Source: Poseidon's ScOTPatchRecovery (scOT/model.py).
template <class Real, int Dim, int Channels, int Patch, int Rows, int Columns>
struct PatchRecovery {
  using Patches = ops::PatchGrid<Channels, Patch, Rows, Columns>;
  static constexpr int kernel = 5, patch_size = Patches::patch_size;
  static constexpr int height = Patches::height, width = Patches::width;
  using Image = ops::FramedImage<Channels, height, width, kernel>;
  using Layout = MatrixLayout<Shape<Dim, Channels, Patch, Patch>, Shape<Dim, Channels, Patch, Patch>, Axes<1, 2, 3>,
                              Axes<0>>;  // n = (channel, a, b)

  template <class R>
  struct Params {
    Packed<R, Layout> weight;
    Tensor<R, Channels> bias{nullptr};
    Tensor<R, Channels, Channels, kernel, kernel> mixup{nullptr};
    using hana_accessors_impl =
        Fields<Field<"projection.weight", &Params::weight, init_weight(patch_size, Dim* Patch* Patch)>,
               Field<"projection.bias", &Params::bias, init_bias(patch_size)>,
               Field<"mixup.weight", &Params::mixup, init_normal(0.02, Channels* kernel* kernel)>>;
  };
  using Weights = Params<const Real>;

  /// What backward reads beside x, and uses up; scratch memory in inference.
  struct Saved {
    Real* patches;  ///< (samples, Rows, Columns, patch_size)
    Real* framed;   ///< samples x framed_size: the image before the 5x5 convolution, zeros around it

    static constexpr Saved take(Carver<Real>& from, int samples) {
      const auto n = static_cast<std::size_t>(samples);
      return {from.take(n * Rows * Columns * patch_size), from.take(n * framed_size)};
    }
  };
  static constexpr std::size_t framed_size = Image::framed_size;

  /// Overwrites y and saved.
  template <class Exec, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, int samples, const Real* x, Real* y, const Saved& saved,
                      const Tracer& trace = {}) {
    ops::matmul(exec, samples * Rows * Columns, ops::RowsLoader<Real>{x, Dim}, w.weight, saved.patches, patch_size,
                ops::PlainEpilogue<Real>{});
    const Real *patches = saved.patches, *bias = w.bias.data_handle(), *framed = saved.framed;
    Image::frame(exec, samples, saved.framed, [=](int line, Real* to) {
      Patches::read_line(patches, line, to);
      const Real b = bias[line / height % Channels];
      for (int j = 0; j < width; ++j) to[j] += b;
    });
    ops::framed_conv<Image>(exec, samples, framed, w.mixup.data_handle(), y);
    if constexpr (Tracer::active) {
      std::vector<Real> image;
      for (int line = 0; line < samples * Channels * height; ++line) {
        const int framed_line = line / height * Image::lines + Image::border + line % height;
        const Real* from = framed + static_cast<std::ptrdiff_t>(framed_line) * Image::width + Image::border;
        image.insert(image.end(), from, from + width);
      }
      trace("projection", "bcij", {samples, Channels, height, width}, image.data());
      trace("", "bcij", {samples, Channels, height, width}, y);
    }
  }

  /// Numbers that backward needs at least of GradientScratch.
  static constexpr std::size_t wide_size(int samples) { return static_cast<std::size_t>(samples) * framed_size; }
  static constexpr std::size_t partial_size(int samples) {
    return std::max<std::size_t>(ops::framed_conv_scratch_size<Image>(samples), patch_size);
  }

  /// Overwrites dx and saved; adds to dw.
  template <class Exec, class Tracer = NoTrace>
  static void backward(const Exec& exec, const Weights& w, int samples, const Real* x, const Saved& saved,
                       const Real* dy, Real* dx, const Params<Real>& dw, const GradientScratch<Real>& scratch,
                       const Tracer& trace = {}) {
    const auto show = [&](const char* name, const Real* image) {
      if constexpr (Tracer::active) trace(name, "bcij", {samples, Channels, height, width}, image);
    };
    const int tokens = samples * Rows * Columns;
    const Real *framed = saved.framed, *framed_dy = scratch.wide;
    show("", dy);
    ops::add_framed_conv_gradient<Image>(exec, samples, framed, dy, dw.mixup.data_handle(), scratch.partial);
    Image::frame(exec, samples, scratch.wide,
                 [=](int line, Real* to) { std::copy_n(dy + std::ptrdiff_t{line} * width, width, to); });
    Real *dimage = saved.framed, *dpatches = saved.patches;
    ops::framed_conv_transposed<Image>(exec, samples, framed_dy, w.mixup.data_handle(), dimage);
    show("projection", dimage);
    Patches::to_patches(exec, samples, static_cast<const Real*>(dimage), dpatches);

    Real* columns = scratch.partial;  // of dpatches, each channel's share in the gradient of its bias
    std::fill_n(columns, patch_size, Real(0));
    ops::add_weight_gradient(exec, tokens, ops::RowsLoader<Real>{x, Dim}, dpatches, patch_size, dw.weight, columns);
    for (int n = 0; n < patch_size; ++n) dw.bias(n / (Patch * Patch)) += columns[n];
    ops::matmul_transposed(exec, tokens, ops::RowsLoader<Real>{dpatches, patch_size}, w.weight, dx, Dim,
                           ops::PlainEpilogue<Real>{});
  }
};

}  // namespace fieldstep::blocks
