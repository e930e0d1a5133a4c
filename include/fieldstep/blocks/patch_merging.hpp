#pragma once
#include <fieldstep/blocks/norm_backward.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/core/params.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/layer_norm.hpp>
#include <fieldstep/ops/matmul_backward.hpp>

#include <algorithm>
#include <concepts>

namespace fieldstep::blocks {

/// A grid half as fine: four neighbours joined, reduced to twice the channels, then normalised. An odd grid is padded
/// with zeros below and to the right.
///   x + skip: (samples, Rows, Columns, Dim) -> y: (samples, ceil(Rows/2), ceil(Columns/2), 2 Dim)
/// Source: Poseidon's ScOTPatchMerging (scOT/model.py).
template <class Real, class Norm, int Dim, int Rows, int Columns>
struct PatchMerging {
  static constexpr int rows = (Rows + 1) / 2, columns = (Columns + 1) / 2, positions = rows * columns;

  template <class R>
  struct Params {
    Packed<R, LinearLayout<4 * Dim, 2 * Dim>> reduction;
    typename Norm::template Params<R> norm;
    using hana_accessors_impl =
        Fields<Field<"reduction.weight", &Params::reduction, init_normal(0.02, 4 * Dim)>, Field<"norm", &Params::norm>>;
  };
  using Weights = Params<const Real>;

  /// What backward reads beside x and skip; in inference the place of y.
  struct Saved {
    Real* reduced;  ///< (samples, positions, 2 Dim): before the norm

    static constexpr Saved take(Carver<Real>& from, int samples) {
      return {from.take(static_cast<std::size_t>(samples) * positions * 2 * Dim)};
    }
  };

  /// Joins the sums of x and skip at (even, even), (odd, even), (even, odd), (odd, odd) row and column.
  struct NeighbourLoader {
    const Real* x;
    const Real* skip;
    template <int Depth>
    void load_row(int row, int k, Real* to) const {
      static_assert(Depth == 4 * Dim);
      constexpr int L = ops::lanes_for<Real>(Dim);
      const std::ptrdiff_t sample = row / positions;
      const int top = row % positions / columns * 2, left = row % columns * 2;
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
  template <class Exec, class Save = NoSave, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, int samples, const Real* time, const Real* x,
                      const Real* skip, Real* y, Real* affine, const Save& save = {}, const Tracer& trace = {}) {
    const auto show = [&](const char* name, const Real* tokens) {
      if constexpr (Tracer::active) trace(name, "bpc", {samples, positions, 2 * Dim}, tokens);
    };
    Real* reduced = y;
    if constexpr (std::same_as<Save, Saved>) reduced = save.reduced;
    ops::matmul(exec, samples * positions, NeighbourLoader{x, skip}, w.reduction, reduced, 2 * Dim,
                ops::PlainEpilogue<Real>{});
    show("reduction", reduced);
    ops::layer_norm<2 * Dim>(exec, samples, positions, static_cast<const Real*>(reduced),
                             Norm::affine(w.norm, samples, time, affine), 1e-5, y);
    show("norm", y);
    show("", y);
  }

  /// Numbers that backward needs at least of GradientScratch; of its affine it needs those of 2 Dim channels.
  static constexpr std::size_t wide_size(int samples) {
    return static_cast<std::size_t>(samples) * positions * 6 * Dim;
  }
  static constexpr std::size_t partial_size(int samples) {
    return ops::layer_norm_backward_scratch_size<2 * Dim>(samples, positions);
  }

  /// Overwrites dx, the gradient of x + skip and so of each of them; adds to dw.
  template <class Exec, class Tracer = NoTrace>
  static void backward(const Exec& exec, const Weights& w, int samples, const Real* time, const Real* x,
                       const Real* skip, const Saved& saved, const Real* dy, Real* dx, const Params<Real>& dw,
                       const GradientScratch<Real>& scratch, const Tracer& trace = {}) {
    const int tokens = samples * positions;
    const auto show = [&](const char* name, const Real* gradient) {
      if constexpr (Tracer::active) trace(name, "bpc", {samples, positions, 2 * Dim}, gradient);
    };
    Real *dreduced = scratch.wide, *djoined = dreduced + static_cast<std::ptrdiff_t>(tokens) * 2 * Dim;
    show("", dy);
    show("norm", dy);
    norm_backward<Norm, 2 * Dim>(exec, w.norm, samples, positions, time, 1e-5, saved.reduced, dy, dreduced, dw.norm,
                                 scratch);
    show("reduction", dreduced);
    ops::add_weight_gradient(exec, tokens, NeighbourLoader{x, skip}, dreduced, 2 * Dim, dw.reduction);
    ops::matmul_transposed(exec, tokens, ops::RowsLoader<Real>{dreduced, 2 * Dim}, w.reduction, djoined, 4 * Dim,
                           ops::PlainEpilogue<Real>{});
    for_ranges(exec, samples * Rows * Columns, [=](int begin, int end) {
      for (int token = begin; token < end; ++token) {
        const int sample = token / (Rows * Columns), i = token / Columns % Rows, j = token % Columns;
        const std::ptrdiff_t row = sample * positions + i / 2 * columns + j / 2;
        std::copy_n(djoined + (row * 4 + j % 2 * 2 + i % 2) * Dim, Dim, dx + static_cast<std::ptrdiff_t>(token) * Dim);
      }
    });
  }
};

}  // namespace fieldstep::blocks
