#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/core/params.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/matmul.hpp>

#include <vector>

namespace fieldstep::blocks {

/// Tokens back to an image: a transposed convolution whose stride is its kernel, then a 5x5 convolution over all
/// channels without bias.
///   x: (samples, Rows, Columns, Dim) -> y: (samples, Channels, Patch Rows, Patch Columns)
/// Source: Poseidon's ScOTPatchRecovery (scOT/model.py).
template <class Real, int Dim, int Channels, int Patch, int Rows, int Columns>
struct PatchRecovery {
  static constexpr int patch_size = Channels * Patch * Patch, height = Rows * Patch, width = Columns * Patch;
  static constexpr int kernel = 5, border = kernel / 2;
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

  /// Numbers of a sample's image with zeros around it, as the convolution reads it.
  static constexpr int framed_width = width + 2 * border;
  static constexpr std::size_t framed_size = std::size_t{Channels} * (height + 2 * border) * framed_width;

  /// Overwrites y, patches (samples, Rows, Columns, patch_size) and framed (samples x framed_size).
  template <class Exec, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, int samples, const Real* x, Real* y, Real* patches,
                      Real* framed, const Tracer& trace = {}) {
    ops::matmul(exec, samples * Rows * Columns, ops::RowsLoader<Real>{x, Dim}, w.weight, patches, patch_size,
                ops::PlainEpilogue<Real>{});
    frame(exec, w, samples, patches, framed);
    mix(exec, w, samples, framed, y);
    if constexpr (Tracer::active) {
      std::vector<Real> image;
      for (int line = 0; line < samples * Channels * height; ++line) {
        const int framed_line = line / height * (height + 2 * border) + border + line % height;
        const Real* from = framed + static_cast<std::ptrdiff_t>(framed_line) * framed_width + border;
        image.insert(image.end(), from, from + width);
      }
      trace("projection", "bcij", {samples, Channels, height, width}, image.data());
      trace("", "bcij", {samples, Channels, height, width}, y);
    }
  }

  /// Puts the patches in their places, with the bias.
  template <class Exec>
  static void frame(const Exec& exec, const Weights& w, int samples, const Real* patches, Real* framed) {
    constexpr int lines = height + 2 * border;
    for_ranges(exec, samples * Channels * lines, [=](int begin, int end) {
      for (int line = begin; line < end; ++line) {
        const int sample = line / (Channels * lines), c = line / lines % Channels, i = line % lines - border;
        Real* to = framed + static_cast<std::ptrdiff_t>(line) * framed_width;
        std::fill_n(to, framed_width, Real(0));
        if (i < 0 || i >= height) continue;
        const Real* from = patches + (static_cast<std::ptrdiff_t>(sample) * Rows + i / Patch) * Columns * patch_size +
                           (c * Patch + i % Patch) * Patch;
        for (int j = 0; j < width; ++j) to[border + j] = from[j / Patch * patch_size + j % Patch] + w.bias(c);
      }
    });
  }

  template <class Exec>
  static void mix(const Exec& exec, const Weights& w, int samples, const Real* framed, Real* y) {
    constexpr int lines = height + 2 * border, L = ops::lanes_for<Real>(width);
    for_ranges(exec, samples * Channels * height, [=](int begin, int end) {
      for (int line = begin; line < end; ++line) {
        const int sample = line / (Channels * height), o = line / height % Channels, i = line % height;
        const Real* image = framed + static_cast<std::ptrdiff_t>(sample) * framed_size;
        for (int j = 0; j < width; j += L) {
          ops::vec<Real, L> sum{};
          for (int c = 0; c < Channels; ++c)
            for (int a = 0; a < kernel; ++a) {
              const Real* row = image + (static_cast<std::ptrdiff_t>(c) * lines + i + a) * framed_width + j;
              for (int b = 0; b < kernel; ++b) sum += w.mixup(o, c, a, b) * ops::load<L>(row + b);
            }
          ops::store<L>(y + static_cast<std::ptrdiff_t>(line) * width + j, sum);
        }
      }
    });
  }
};

}  // namespace fieldstep::blocks
