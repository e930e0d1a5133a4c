#pragma once
#include <fieldstep/core/params.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/layer_norm.hpp>
#include <fieldstep/ops/matmul.hpp>

namespace fieldstep::blocks {

/// A grid half as fine: four neighbours joined, reduced to twice the channels, then normalised. An odd grid is padded
/// with zeros below and to the right.
///   x + skip: (samples, Rows, Columns, Dim) -> y: (samples, ceil(Rows/2), ceil(Columns/2), 2 Dim)
/// Source: Poseidon's ScOTPatchMerging (scOT/model.py).
template <class Real, class Norm, int Dim, int Rows, int Columns>
struct PatchMerging {
  static constexpr int rows = (Rows + 1) / 2, columns = (Columns + 1) / 2;

  template <class R>
  struct Params {
    Packed<R, LinearLayout<4 * Dim, 2 * Dim>> reduction;
    typename Norm::template Params<R> norm;
    using hana_accessors_impl =
        Fields<Field<"reduction.weight", &Params::reduction, init_normal(0.02, 4 * Dim)>, Field<"norm", &Params::norm>>;
  };
  using Weights = Params<const Real>;

  /// Joins the sums of x and skip at (even, even), (odd, even), (even, odd), (odd, odd) row and column.
  struct NeighbourLoader {
    const Real* x;
    const Real* skip;
    template <int Depth>
    void load_row(int row, int k, Real* to) const {
      static_assert(Depth == 4 * Dim);
      constexpr int L = ops::lanes_for<Real>(Dim);
      const std::ptrdiff_t sample = row / (rows * columns);
      const int top = row % (rows * columns) / columns * 2, left = row % columns * 2;
      for (int n = k / Dim; n < 4; ++n, to += Dim) {
        const int i = top + n % 2, j = left + n / 2;
        if (i >= Rows || j >= Columns) {
          std::fill_n(to, Dim, Real(0));
          continue;
        }
        const std::ptrdiff_t at = ((sample * Rows + i) * Columns + j) * Dim;
        for (int c = 0; c < Dim; c += L) ops::store<L>(to + c, ops::load<L>(x + at + c) + ops::load<L>(skip + at + c));
      }
    }
  };

  /// Overwrites y; affine: memory of the norm, 2 samples x 2 Dim.
  template <class Exec, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, int samples, const Real* time, const Real* x,
                      const Real* skip, Real* y, Real* affine, const Tracer& trace = {}) {
    const auto show = [&](const char* name) {
      if constexpr (Tracer::active) trace(name, "bpc", {samples, rows * columns, 2 * Dim}, y);
    };
    ops::matmul(exec, samples * rows * columns, NeighbourLoader{x, skip}, w.reduction, y, 2 * Dim,
                ops::PlainEpilogue<Real>{});
    show("reduction");
    ops::layer_norm<2 * Dim>(exec, samples, rows * columns, static_cast<const Real*>(y),
                             Norm::affine(w.norm, samples, time, affine), 1e-5, y);
    show("norm");
    show("");
  }
};

}  // namespace fieldstep::blocks
