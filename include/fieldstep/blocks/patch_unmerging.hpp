#pragma once
#include <fieldstep/blocks/norm_backward.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/core/params.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/epilogues.hpp>
#include <fieldstep/ops/layer_norm.hpp>
#include <fieldstep/ops/matmul_backward.hpp>

#include <algorithm>
#include <concepts>
#include <vector>

namespace fieldstep::blocks {

/// A grid twice as fine: every token becomes 2x2 tokens of half the channels, normalised and mixed. The result is cut
/// to the finer grid, which may be odd, and added to what the encoder left there.
///   x: (samples, ceil(Rows/2), ceil(Columns/2), Dim) -> y: (samples, Rows, Columns, Dim / 2)
/// Source: Poseidon's ScOTPatchUnmerging (scOT/model.py).
template <class Real, class Norm, int Dim, int Rows, int Columns>
struct PatchUnmerging {
  static_assert(Dim % 2 == 0, "PatchUnmerging: Dim must be even");
  static constexpr int rows = (Rows + 1) / 2, columns = (Columns + 1) / 2, half = Dim / 2;
  static constexpr int positions = Rows * Columns;

  template <class R>
  struct Params {
    Packed<R, LinearLayout<Dim, 2 * Dim>> upsample;
    Packed<R, LinearLayout<half, half>> mixup;
    typename Norm::template Params<R> norm;
    using hana_accessors_impl =
        Fields<Field<"upsample.weight", &Params::upsample, init_normal(0.02, Dim)>,
               Field<"mixup.weight", &Params::mixup, init_normal(0.02, half)>, Field<"norm", &Params::norm>>;
  };
  using Weights = Params<const Real>;

  /// What backward reads beside x; in inference the scratch memory of forward.
  struct Saved {
    Real* upsampled;  ///< (coarse tokens, 2 Dim): before the norm
    Real* normed;     ///< (samples, positions, half)

    static constexpr Saved take(Carver<Real>& from, int samples) {
      const auto n = static_cast<std::size_t>(samples);
      return {from.take(n * coarse_size), from.take(n * positions * half)};
    }
  };

  /// Adds to y. memory: in inference samples x coarse tokens x 2 Dim, and samples x positions x half, which are
  /// overwritten; affine: memory of the norm, 2 samples x half.
  template <class Exec, class Save = NoSave, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, int samples, const Real* time, const Real* x, Real* y,
                      Real* memory, Real* affine, const Save& save = {}, const Tracer& trace = {}) {
    const int coarse = samples * rows * columns, fine = samples * positions;
    const auto [upsampled, normed] = [&] {
      if constexpr (std::same_as<Save, Saved>)
        return save;
      else
        return Saved{memory, memory + static_cast<std::ptrdiff_t>(samples) * coarse_size};
    }();
    ops::matmul(exec, coarse, ops::RowsLoader<Real>{x, Dim}, w.upsample, upsampled, 2 * Dim,
                ops::PlainEpilogue<Real>{});
    ops::layer_norm_from<half>(exec, samples, positions, static_cast<const Real*>(upsampled), Source(),
                               Norm::affine(w.norm, samples, time, affine), 1e-5, normed);
    const ops::RowsLoader<Real> rows_of_normed{normed, half};
    if constexpr (Tracer::active) {
      std::vector<Real> mixed(static_cast<std::size_t>(fine) * half);
      ops::matmul(exec, fine, rows_of_normed, w.mixup, mixed.data(), half, ops::PlainEpilogue<Real>{});
      trace("upsample", "bpc", {samples, rows * columns, 2 * Dim}, upsampled);
      trace("norm", "bpc", {samples, positions, half}, normed);
      trace("mixup", "bpc", {samples, positions, half}, mixed.data());
      trace("", "bpc", {samples, positions, half}, mixed.data());
    }
    ops::matmul(exec, fine, rows_of_normed, w.mixup, y, half, ops::AddEpilogue<Real>{y, half});
  }

  /// Numbers that backward needs at least of GradientScratch.
  static constexpr std::size_t wide_size(int samples) {
    return static_cast<std::size_t>(samples) * (coarse_size + positions * half);
  }
  static constexpr std::size_t partial_size(int samples) {
    return ops::layer_norm_backward_scratch_size<half>(samples, positions);
  }

  /// Overwrites dx; adds to dw. dy: (samples, Rows, Columns, half), also the gradient of what was there before.
  template <class Exec, class Tracer = NoTrace>
  static void backward(const Exec& exec, const Weights& w, int samples, const Real* time, const Real* x,
                       const Saved& saved, const Real* dy, Real* dx, const Params<Real>& dw,
                       const GradientScratch<Real>& scratch, const Tracer& trace = {}) {
    const int coarse = samples * rows * columns, fine = samples * positions;
    const auto show = [&](const char* name, int tokens, int channels, const Real* gradient) {
      if constexpr (Tracer::active) trace(name, "bpc", {samples, tokens, channels}, gradient);
    };
    Real *dupsampled = scratch.wide, *dnormed = dupsampled + static_cast<std::ptrdiff_t>(samples) * coarse_size;
    show("", positions, half, dy);
    show("mixup", positions, half, dy);
    ops::add_weight_gradient(exec, fine, ops::RowsLoader<Real>{saved.normed, half}, dy, half, dw.mixup);
    ops::matmul_transposed(exec, fine, ops::RowsLoader<Real>{dy, half}, w.mixup, dnormed, half,
                           ops::PlainEpilogue<Real>{});
    show("norm", positions, half, dnormed);
    if constexpr (4 * rows * columns > positions)  // nothing came of what was cut off
      std::fill_n(dupsampled, static_cast<std::ptrdiff_t>(samples) * coarse_size, Real(0));
    norm_backward<Norm, half>(exec, w.norm, samples, positions, time, 1e-5, saved.upsampled, dnormed, dupsampled,
                              dw.norm, scratch, static_cast<const Real*>(nullptr), Source());
    show("upsample", rows * columns, 2 * Dim, dupsampled);
    ops::add_weight_gradient(exec, coarse, ops::RowsLoader<Real>{x, Dim}, dupsampled, 2 * Dim, dw.upsample);
    ops::matmul_transposed(exec, coarse, ops::RowsLoader<Real>{dupsampled, 2 * Dim}, w.upsample, dx, Dim,
                           ops::PlainEpilogue<Real>{});
  }

 private:
  static constexpr int coarse_size = rows * columns * 2 * Dim;

  /// Columns of the first product: (a, b, channel) of the 2x2 tokens.
  struct Source {
    KOKKOS_FUNCTION constexpr int operator()(int row) const {
      const int sample = row / positions, i = row % positions / Columns, j = row % Columns;
      return ((sample * rows + i / 2) * columns + j / 2) * 4 + i % 2 * 2 + j % 2;
    }
  };
};

}  // namespace fieldstep::blocks
