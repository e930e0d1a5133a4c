#pragma once
#include <fieldstep/ops/frame.hpp>

#include <cstddef>

// The convolutions of image_conv.hpp and planar_conv.hpp and their gradients, naively and on fields as they lie,
// (samples, channels, points): for any execution space, yardstick of the tests and benchmarks, and the device path.
namespace fieldstep::ops {

namespace detail {

/// Axes of a field and of its taps.
template <class Points, int Kernel>
struct NaiveAxes {
  static constexpr auto points = three_axes(Points::extents, 1), kernel = three_axes(Points(), Kernel, 1);
  static constexpr int depth = points[0], height = points[1], width = points[2], size = depth * height * width;
  static constexpr int kernel_height = kernel[1], kernel_width = kernel[2], taps = kernel[0] * kernel[1] * kernel[2];
  static constexpr int before = (Kernel - 1) / 2;

  /// What tap t of point p reads: a point, or -1 for zero.
  template <Padding rule>
  KOKKOS_FUNCTION static constexpr int read(int p, int t) {
    constexpr int d = Points::rank > 2 ? before : 0, h = Points::rank > 1 ? before : 0;
    const int at[3] = {p / (height * width) + t / (kernel_height * kernel_width) - d,
                       p / width % height + t / kernel_width % kernel_height - h,
                       p % width + t % kernel_width - before};
    const int inside[3] = {padded_point<rule>(at[0], depth), padded_point<rule>(at[1], height),
                           padded_point<rule>(at[2], width)};
    if (rule == Padding::zero && (at[0] != inside[0] || at[1] != inside[1] || at[2] != inside[2])) return -1;
    return (inside[0] * height + inside[1]) * width + inside[2];
  }
};

}  // namespace detail

/// y[s, o, p] = bias[o] + sum_{c,t} weight[o, c, t] x[s, c, what tap t of p reads], one thread an output. bias may be
/// null.
template <class Points, int Kernel, Padding rule, class Exec, class Real>
void conv_naive(const Exec& exec, int samples, int in, int out, const Real* x, const Real* weight, const Real* bias,
                Real* y) {
  using Axes = detail::NaiveAxes<Points, Kernel>;
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<3>>(exec, {0, 0, 0}, {samples, out, Axes::size}),
      KOKKOS_LAMBDA(int s, int o, int p) {
        Real sum = bias ? bias[o] : Real(0);
        for (int c = 0; c < in; ++c)
          for (int t = 0; t < Axes::taps; ++t) {
            const int from = Axes::template read<rule>(p, t);
            if (from >= 0)
              sum += weight[(o * in + c) * Axes::taps + t] * x[std::ptrdiff_t{s * in + c} * Axes::size + from];
          }
        y[std::ptrdiff_t{s * out + o} * Axes::size + p] = sum;
      });
}

/// Overwrites dx, the gradient of x: one thread an input looks at every output that reads it.
template <class Points, int Kernel, Padding rule, class Exec, class Real>
void conv_transposed_naive(const Exec& exec, int samples, int in, int out, const Real* dy, const Real* weight,
                           Real* dx) {
  using Axes = detail::NaiveAxes<Points, Kernel>;
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<3>>(exec, {0, 0, 0}, {samples, in, Axes::size}),
      KOKKOS_LAMBDA(int s, int c, int p) {
        Real sum = 0;
        for (int t = 0; t < Axes::taps; ++t)
          for (int q = 0; q < Axes::size; ++q)
            if (Axes::template read<rule>(q, t) == p)
              for (int o = 0; o < out; ++o)
                sum += weight[(o * in + c) * Axes::taps + t] * dy[std::ptrdiff_t{s * out + o} * Axes::size + q];
        dx[std::ptrdiff_t{s * in + c} * Axes::size + p] = sum;
      });
}

/// Adds to dweight and, where it is not null, to dbias: one thread a weight.
template <class Points, int Kernel, Padding rule, class Exec, class Real>
void add_conv_gradient_naive(const Exec& exec, int samples, int in, int out, const Real* x, const Real* dy,
                             Real* dweight, Real* dbias) {
  using Axes = detail::NaiveAxes<Points, Kernel>;
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<3>>(exec, {0, 0, 0}, {out, in, Axes::taps}),
      KOKKOS_LAMBDA(int o, int c, int t) {
        Real sum = 0, total = 0;
        for (int s = 0; s < samples; ++s)
          for (int p = 0; p < Axes::size; ++p) {
            const Real g = dy[std::ptrdiff_t{s * out + o} * Axes::size + p];
            const int from = Axes::template read<rule>(p, t);
            if (from >= 0) sum += g * x[std::ptrdiff_t{s * in + c} * Axes::size + from];
            total += g;
          }
        dweight[(o * in + c) * Axes::taps + t] += sum;
        if (dbias && c == 0 && t == 0) dbias[o] += total;
      });
}

}  // namespace fieldstep::ops
