#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/vec.hpp>

#include <algorithm>
#include <cstddef>

namespace fieldstep::ops {

/// y[i, j, c] = bias[c] + sum_{a,b} weight[c, a, b] x[i + a - Kernel/2, j + b - Kernel/2, c], zero outside the grid.
///   x, y: (samples, Rows, Columns, Channels), channels last; weight: (Channels, 1, Kernel, Kernel); bias: (Channels)
/// Source: torch.nn.Conv2d with groups = channels, as in ConvNeXt (Liu et al. 2022, arXiv:2201.03545).
template <int Rows, int Columns, int Channels, int Kernel, class Exec, class Real>
void depthwise_conv(const Exec& exec, int samples, const Real* x, const Real* weight, const Real* bias, Real* y) {
  static_assert(Kernel % 2 == 1, "depthwise_conv: the kernel must be odd");
  constexpr int L = lanes_for<Real>(Channels), groups = Channels / L, taps = Kernel * Kernel, half = Kernel / 2;
  constexpr std::ptrdiff_t grid = std::ptrdiff_t{Rows} * Columns * Channels;
  // An item is a group of channels of a grid row; a range's items of one group follow one another and share its taps.
  for_ranges(exec, groups * samples * Rows, [=](int begin, int end) {
    alignas(64) Real tap[taps * L];
    for (int item = begin, held = -1; item < end; ++item) {
      const int group = item / (samples * Rows), sample = item / Rows % samples, i = item % Rows, c = group * L;
      if (group != held) {
        for (int t = 0; t < taps; ++t)
          for (int l = 0; l < L; ++l) tap[t * L + l] = weight[(c + l) * taps + t];
        held = group;
      }
      const Real* from = x + sample * grid + c;
      const int first_a = std::max(0, half - i), last_a = std::min(Kernel, Rows + half - i);
      for (int j = 0; j < Columns; ++j) {
        const int first_b = std::max(0, half - j), last_b = std::min(Kernel, Columns + half - j);
        vec<Real, L> sum = load<L>(bias + c);
        for (int a = first_a; a < last_a; ++a) {
          const Real* row = from + ((i + a - half) * Columns + j - half) * std::ptrdiff_t{Channels};
          for (int b = first_b; b < last_b; ++b)
            sum += load<L>(tap + (a * Kernel + b) * L) * load<L>(row + b * std::ptrdiff_t{Channels});
        }
        store<L>(y + sample * grid + (i * Columns + j) * std::ptrdiff_t{Channels} + c, sum);
      }
    }
  });
}

/// The same, one thread an output, for any execution space: yardstick of the test, and the device path.
template <int Rows, int Columns, int Channels, int Kernel, class Exec, class Real>
void depthwise_conv_naive(const Exec& exec, int samples, const Real* x, const Real* weight, const Real* bias, Real* y) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<4>>(exec, {0, 0, 0, 0}, {samples, Rows, Columns, Channels}),
      KOKKOS_LAMBDA(int s, int i, int j, int c) {
        Real sum = bias[c];
        for (int a = 0; a < Kernel; ++a)
          for (int b = 0; b < Kernel; ++b) {
            const int row = i + a - Kernel / 2, column = j + b - Kernel / 2;
            if (row < 0 || row >= Rows || column < 0 || column >= Columns) continue;
            sum += weight[(c * Kernel + a) * Kernel + b] *
                   x[((static_cast<std::ptrdiff_t>(s) * Rows + row) * Columns + column) * Channels + c];
          }
        y[((static_cast<std::ptrdiff_t>(s) * Rows + i) * Columns + j) * Channels + c] = sum;
      });
}

}  // namespace fieldstep::ops
