#pragma once
#include <fieldstep/core/tensor.hpp>
#include <fieldstep/ops/partial_sums.hpp>

#include <algorithm>
#include <cstddef>

namespace fieldstep::ops {

namespace detail {

/// y = start + the convolution of x with weight, its taps reversed if Flipped. start(at, channel): the vector of
/// lanes_for(Channels) channels that the sum at number `at` of y starts with.
template <int Rows, int Columns, int Channels, int Kernel, bool Flipped, class Exec, class Real, class Start>
void depthwise_conv(const Exec& exec, int samples, const Real* x, const Real* weight, const Start& start, Real* y) {
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
          for (int l = 0; l < L; ++l) tap[t * L + l] = weight[(c + l) * taps + (Flipped ? taps - 1 - t : t)];
        held = group;
      }
      const Real* from = x + sample * grid + c;
      const int first_a = std::max(0, half - i), last_a = std::min(Kernel, Rows + half - i);
      for (int j = 0; j < Columns; ++j) {
        const int first_b = std::max(0, half - j), last_b = std::min(Kernel, Columns + half - j);
        const std::ptrdiff_t at = sample * grid + (i * Columns + j) * std::ptrdiff_t{Channels} + c;
        vec<Real, L> sum = start(at, c);
        for (int a = first_a; a < last_a; ++a) {
          const Real* row = from + ((i + a - half) * Columns + j - half) * std::ptrdiff_t{Channels};
          for (int b = first_b; b < last_b; ++b)
            sum += load<L>(tap + (a * Kernel + b) * L) * load<L>(row + b * std::ptrdiff_t{Channels});
        }
        store<L>(y + at, sum);
      }
    }
  });
}

}  // namespace detail

/// y[i, j, c] = bias[c] + sum_{a,b} weight[c, a, b] x[i + a - Kernel/2, j + b - Kernel/2, c], zero outside the grid.
///   x, y: (samples, Rows, Columns, Channels), channels last; weight: (Channels, 1, Kernel, Kernel); bias: (Channels)
/// Source: torch.nn.Conv2d with groups = channels, as in ConvNeXt (Liu et al. 2022, arXiv:2201.03545).
template <int Rows, int Columns, int Channels, int Kernel, class Exec, class Real>
void depthwise_conv(const Exec& exec, int samples, const Real* x, const Real* weight, const Real* bias, Real* y) {
  constexpr int L = lanes_for<Real>(Channels);
  detail::depthwise_conv<Rows, Columns, Channels, Kernel, false>(
      exec, samples, x, weight, [=](std::ptrdiff_t, int c) { return load<L>(bias + c); }, y);
}

/// Rows of the grid whose products are summed before they join the weights' gradient.
inline constexpr int depthwise_conv_block = 8;

/// Numbers of scratch for the gradient.
template <int Rows, int Columns, int Channels, int Kernel>
constexpr std::size_t depthwise_conv_backward_scratch_size(int samples) {
  constexpr std::size_t blocks = (Rows + depthwise_conv_block - 1) / depthwise_conv_block;
  return static_cast<std::size_t>(samples) * blocks * Channels * (Kernel * Kernel + 1);
}

/// dx = base + dL/dx: the convolution of dy with the kernel turned by 180 degrees. Adds to dweight and dbias:
///   dweight[c, a, b] = sum_{samples,i,j} dy[i, j, c] x[i + a - Kernel/2, j + b - Kernel/2, c];  dbias = sum dy
/// base: as dx, which it may be; null for 0. dx must not be dy.
template <int Rows, int Columns, int Channels, int Kernel, class Exec, class Real>
void depthwise_conv_backward(const Exec& exec, int samples, const Real* x, const Real* weight, const Real* dy,
                             const Real* base, Real* dx, Real* dweight, Real* dbias, Real* scratch) {
  constexpr int L = lanes_for<Real>(Channels), groups = Channels / L, taps = Kernel * Kernel, half = Kernel / 2;
  constexpr int blocks = (Rows + depthwise_conv_block - 1) / depthwise_conv_block;
  const int parts = samples * blocks;
  Real* bias_sums = scratch + std::ptrdiff_t{parts} * Channels * taps;
  for_ranges(exec, groups * parts, [=](int begin, int end) {
    for (int item = begin; item < end; ++item) {
      const int c = item / parts * L, part = item % parts, first = part % blocks * depthwise_conv_block;
      const int last = std::min(first + depthwise_conv_block, Rows);
      const auto at = [=](int i, int j) {
        return ((part / blocks * Rows + i) * std::ptrdiff_t{Columns} + j) * Channels + c;
      };
      vec<Real, L> bias_sum{};
      for (int i = first; i < last; ++i)
        for (int j = 0; j < Columns; ++j) bias_sum += load<L>(dy + at(i, j));
      store<L>(bias_sums + std::ptrdiff_t{part} * Channels + c, bias_sum);

      for (int a = 0; a < Kernel; ++a) {
        vec<Real, L> sums[Kernel] = {};  // of a row of taps
        for (int i = std::max(first, half - a); i < std::min(last, Rows + half - a); ++i)
          for (int j = 0; j < Columns; ++j) {
            const vec<Real, L> g = load<L>(dy + at(i, j));
            const Real* row = x + at(i + a - half, j - half);
            const bool inside = j >= half && j + half < Columns;
#pragma GCC unroll 16
            for (int b = 0; b < Kernel; ++b)
              if (inside || (j + b >= half && j + b < Columns + half))
                sums[b] += g * load<L>(row + b * std::ptrdiff_t{Channels});
          }
        for (int b = 0; b < Kernel; ++b)
          for (int l = 0; l < L; ++l)
            scratch[(std::ptrdiff_t{part} * Channels + c + l) * taps + a * Kernel + b] = sums[b][l];
      }
    }
  });
  const Real *one = nullptr, *weight_sums = scratch;
  add_rows<Channels * taps>(exec, parts, weight_sums, Channels * taps, one, dweight);
  add_rows<Channels>(exec, parts, static_cast<const Real*>(bias_sums), Channels, one, dbias);
  detail::depthwise_conv<Rows, Columns, Channels, Kernel, true>(
      exec, samples, dy, weight, [=](std::ptrdiff_t n, int) { return base ? load<L>(base + n) : vec<Real, L>{}; }, dx);
}

// --- The same, naively: for any execution space, yardstick of the tests, and the device path ---

/// As depthwise_conv, one thread an output.
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

/// As depthwise_conv_backward, one thread a number of dx, then one a tap.
template <int Rows, int Columns, int Channels, int Kernel, class Exec, class Real>
void depthwise_conv_backward_naive(const Exec& exec, int samples, const Real* x, const Real* weight, const Real* dy,
                                   const Real* base, Real* dx, Real* dweight, Real* dbias) {
  const Batched<const Real, Rows, Columns, Channels> x_at(x, samples), dy_at(dy, samples);
  const Batched<Real, Rows, Columns, Channels> dx_at(dx, samples);
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<4>>(exec, {0, 0, 0, 0}, {samples, Rows, Columns, Channels}),
      KOKKOS_LAMBDA(int s, int i, int j, int c) {
        Real sum = base ? base[dx_at.mapping()(s, i, j, c)] : Real(0);
        for (int a = 0; a < Kernel; ++a)
          for (int b = 0; b < Kernel; ++b) {
            const int row = i - a + Kernel / 2, column = j - b + Kernel / 2;
            if (row < 0 || row >= Rows || column < 0 || column >= Columns) continue;
            sum += weight[(c * Kernel + a) * Kernel + b] * dy_at(s, row, column, c);
          }
        dx_at(s, i, j, c) = sum;
      });
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<3>>(exec, {0, 0, 0}, {Channels, Kernel, Kernel}),
      KOKKOS_LAMBDA(int c, int a, int b) {
        Real sum = 0, total = 0;
        for (int s = 0; s < samples; ++s)
          for (int i = 0; i < Rows; ++i)
            for (int j = 0; j < Columns; ++j) {
              const Real g = dy_at(s, i, j, c);
              const int row = i + a - Kernel / 2, column = j + b - Kernel / 2;
              total += g;
              if (row >= 0 && row < Rows && column >= 0 && column < Columns) sum += g * x_at(s, row, column, c);
            }
        dweight[(c * Kernel + a) * Kernel + b] += sum;
        if (a == 0 && b == 0) dbias[c] += total;
      });
}

}  // namespace fieldstep::ops
