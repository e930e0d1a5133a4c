#pragma once
#include <fieldstep/core/params.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/epilogues.hpp>
#include <fieldstep/ops/layer_norm.hpp>
#include <fieldstep/ops/matmul.hpp>

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

  /// Adds to y; overwrites memory: samples x coarse tokens x 2 Dim, and samples x Rows x Columns x half. affine: memory
  /// of the norm, 2 samples x half.
  template <class Exec, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, int samples, const Real* time, const Real* x, Real* y,
                      Real* memory, Real* affine, const Tracer& trace = {}) {
    const int coarse = samples * rows * columns;
    Real* fine = memory + static_cast<std::ptrdiff_t>(coarse) * 2 * Dim;
    ops::matmul(exec, coarse, ops::RowsLoader<Real>{x, Dim}, w.upsample, memory, 2 * Dim, ops::PlainEpilogue<Real>{});
    const auto source = [](int row) {  // columns of the product: (a, b, channel) of the 2x2 tokens
      const int sample = row / (Rows * Columns), i = row % (Rows * Columns) / Columns, j = row % Columns;
      return ((sample * rows + i / 2) * columns + j / 2) * 4 + i % 2 * 2 + j % 2;
    };
    ops::layer_norm_from<half>(exec, samples, positions, static_cast<const Real*>(memory), source,
                               Norm::affine(w.norm, samples, time, affine), 1e-5, fine);
    if constexpr (Tracer::active) {
      std::vector<Real> mixed(static_cast<std::size_t>(samples) * Rows * Columns * half);
      ops::matmul(exec, samples * positions, ops::RowsLoader<Real>{fine, half}, w.mixup, mixed.data(), half,
                  ops::PlainEpilogue<Real>{});
      trace("upsample", "bpc", {samples, rows * columns, 2 * Dim}, memory);
      trace("norm", "bpc", {samples, positions, half}, fine);
      trace("mixup", "bpc", {samples, positions, half}, mixed.data());
      trace("", "bpc", {samples, positions, half}, mixed.data());
    }
    ops::matmul(exec, samples * positions, ops::RowsLoader<Real>{fine, half}, w.mixup, y, half,
                ops::AddEpilogue<Real>{y, half});
  }
};

}  // namespace fieldstep::blocks
