#pragma once
#include <Kokkos_Core.hpp>
#include <cstddef>

// Convolutions whose stride is their kernel, in the image layout of the original: cross-correlation, no padding, no
// flip. Patches do not overlap, so the library computes them as products over patches (ops/matmul.hpp with the loaders
// of blocks/hmlp_stem.hpp and hmlp_output.hpp); these are the naive twins for any execution space.
namespace fieldstep::ops {

/// y[s, o, i, j] = sum_{c,a,b} weight[o, c, a, b] x[s, c, k i + a, k j + b], k = kernel; one thread an output.
///   x: (samples, in, kernel rows, kernel columns), weight: (out, in, kernel, kernel), y: (samples, out, rows, columns)
template <class Exec, class Real>
void conv2d_naive(const Exec& exec, int samples, int in, int out, int rows, int columns, int kernel, const Real* x,
                  const Real* weight, Real* y) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<4>>(exec, {0, 0, 0, 0}, {samples, out, rows, columns}),
      KOKKOS_LAMBDA(int s, int o, int i, int j) {
        Real sum = 0;
        for (int c = 0; c < in; ++c)
          for (int a = 0; a < kernel; ++a)
            for (int b = 0; b < kernel; ++b) {
              const std::ptrdiff_t row = (static_cast<std::ptrdiff_t>(s) * in + c) * rows * kernel + i * kernel + a;
              sum += weight[((o * in + c) * kernel + a) * kernel + b] * x[row * columns * kernel + j * kernel + b];
            }
        y[((static_cast<std::ptrdiff_t>(s) * out + o) * rows + i) * columns + j] = sum;
      });
}

/// y[s, o, k i + a, k j + b] = sum_c weight[c, o, a, b] x[s, c, i, j] + bias[o], k = kernel; one thread an input pixel
/// and output channel.
///   x: (samples, in, rows, columns), weight: (in, out, kernel, kernel), bias: (out) or null,
///   y: (samples, out, kernel rows, kernel columns)
template <class Exec, class Real>
void conv2d_transpose_naive(const Exec& exec, int samples, int in, int out, int rows, int columns, int kernel,
                            const Real* x, const Real* weight, const Real* bias, Real* y) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<4>>(exec, {0, 0, 0, 0}, {samples, out, rows, columns}),
      KOKKOS_LAMBDA(int s, int o, int i, int j) {
        for (int a = 0; a < kernel; ++a)
          for (int b = 0; b < kernel; ++b) {
            Real sum = bias ? bias[o] : Real(0);
            for (int c = 0; c < in; ++c)
              sum += weight[((c * out + o) * kernel + a) * kernel + b] *
                     x[((static_cast<std::ptrdiff_t>(s) * in + c) * rows + i) * columns + j];
            const std::ptrdiff_t row = (static_cast<std::ptrdiff_t>(s) * out + o) * rows * kernel + i * kernel + a;
            y[row * columns * kernel + j * kernel + b] = sum;
          }
      });
}

}  // namespace fieldstep::ops
