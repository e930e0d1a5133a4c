#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/window_attention.hpp>

#include <cstddef>

// Dropout with given factors: 0 where a number is dropped, 1 / (1 - p) where it is kept.
// Source: Srivastava et al. 2014, JMLR 15, scaled in training as in torch.nn.Dropout.
namespace fieldstep::ops {

/// x *= factors, both (rows, width).
template <class Exec, class Real>
void dropout(const Exec& exec, int rows, int width, const Real* factors, Real* x) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {rows, width}), KOKKOS_LAMBDA(int row, int c) {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * width + c;
        x[at] *= factors[at];
      });
}

/// The same where the factors come window by window, (samples * windows, length, Width), as attention sees the tokens
/// x (samples, Rows, Columns, Width).
template <int Rows, int Columns, int Window, int Width, class Exec, class Real>
void dropout_in_windows(const Exec& exec, int samples, int shift, const Real* factors, Real* x) {
  using Windows = WindowGrid<Rows, Columns, Window>;
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {samples * Windows::windows, Windows::length}),
      KOKKOS_LAMBDA(int item, int n) {
        const int token = Windows::place(item % Windows::windows, n, shift).token();
        if (token < 0) return;
        const Real* from = factors + (static_cast<std::ptrdiff_t>(item) * Windows::length + n) * Width;
        Real* to = x + (static_cast<std::ptrdiff_t>(item / Windows::windows) * Rows * Columns + token) * Width;
        for (int c = 0; c < Width; ++c) to[c] *= from[c];
      });
}

}  // namespace fieldstep::ops
