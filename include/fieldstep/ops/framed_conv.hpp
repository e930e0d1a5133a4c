#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/partial_sums.hpp>
#include <fieldstep/ops/vec.hpp>

#include <algorithm>
#include <cstddef>

// A convolution of every channel with every channel that keeps the size of the image, for channels too few to make
// rows of a product:
//   y[o, i, j] = sum_{c,a,b} weight[o, c, a, b] x[c, i + a - Kernel/2, j + b - Kernel/2], zero outside the image
// and its gradients. What it reads lies in a frame of zeros, so no loop knows of borders.
namespace fieldstep::ops {

/// Images (samples, Channels, Rows, Columns), plain and framed.
template <int Channels_, int Rows_, int Columns_, int Kernel_>
struct FramedImage {
  static_assert(Kernel_ % 2 == 1, "FramedImage: the kernel must be odd");
  static constexpr int Channels = Channels_, Rows = Rows_, Columns = Columns_, Kernel = Kernel_;
  static constexpr int border = Kernel / 2, lines = Rows + 2 * border, width = Columns + 2 * border;
  static constexpr std::ptrdiff_t size = std::ptrdiff_t{Channels} * Rows * Columns;
  static constexpr std::ptrdiff_t framed_size = std::ptrdiff_t{Channels} * lines * width;
  static constexpr int weights = Channels * Channels * Kernel * Kernel;

  /// Overwrites the framed images, zeros included: write(line, to) writes line `line` of the plain images, counted
  /// through samples and channels.
  template <class Exec, class Real, class Write>
  static void frame(const Exec& exec, int samples, Real* framed, const Write& write) {
    for_ranges(exec, samples * Channels * lines, [=](int begin, int end) {
      for (int line = begin; line < end; ++line) {
        Real* to = framed + static_cast<std::ptrdiff_t>(line) * width;
        const int i = line % lines - border;
        if (i < 0 || i >= Rows) {
          std::fill_n(to, width, Real(0));
          continue;
        }
        std::fill_n(to, border, Real(0));
        write(line / lines * Rows + i, to + border);
        std::fill_n(to + border + Columns, border, Real(0));
      }
    });
  }
};

namespace detail {

/// The largest number up to `most` that divides `count`.
constexpr int divisor_up_to(int most, int count) {
  while (count % most != 0) --most;
  return most;
}

/// y[s, o, i, j] = sum_{c,a,b} tap(o, c, a, b) x[s, c, i + a, j + b] for framed x.
template <class Image, class Exec, class Real, class Tap>
void framed_conv(const Exec& exec, int samples, const Real* x, const Tap& tap, Real* y) {
  constexpr int Channels = Image::Channels, Rows = Image::Rows, Columns = Image::Columns, Kernel = Image::Kernel;
  constexpr int L = lanes_for<Real>(Columns), V = Columns % (2 * L) == 0 ? 2 : 1, O = divisor_up_to(4, Channels);
  for_ranges(exec, samples * Rows, [=](int begin, int end) {
    alignas(64) Real taps[Image::weights];  // (c, a, b, o)
    for (int t = 0, c = 0; c < Channels; ++c)
      for (int a = 0; a < Kernel; ++a)
        for (int b = 0; b < Kernel; ++b)
          for (int o = 0; o < Channels; ++o) taps[t++] = tap(o, c, a, b);
    for (int item = begin; item < end; ++item) {
      const int sample = item / Rows, i = item % Rows;
      const Real* from = x + sample * Image::framed_size + i * Image::width;
      Real* to = y + sample * Image::size + i * Columns;
      for (int o = 0; o < Channels; o += O)
        for (int j = 0; j < Columns; j += V * L) {
          vec<Real, L> sums[O][V] = {};
          const Real* factor = taps + o;
          for (int c = 0; c < Channels; ++c)
            for (int a = 0; a < Kernel; ++a) {
              const Real* line = from + static_cast<std::ptrdiff_t>(c * Image::lines + a) * Image::width + j;
              for (int b = 0; b < Kernel; ++b, factor += Channels)
                for (int v = 0; v < V; ++v) {
                  const vec<Real, L> here = load<L>(line + b + v * L);
                  for (int n = 0; n < O; ++n) sums[n][v] += factor[n] * here;
                }
            }
          for (int n = 0; n < O; ++n)
            for (int v = 0; v < V; ++v)
              store<L>(to + static_cast<std::ptrdiff_t>(o + n) * Rows * Columns + j + v * L, sums[n][v]);
        }
    }
  });
}

}  // namespace detail

/// Overwrites y. x: framed, y: plain, weight: (Channels, Channels, Kernel, Kernel)
template <class Image, class Exec, class Real>
void framed_conv(const Exec& exec, int samples, const Real* x, const Real* weight, Real* y) {
  constexpr int Channels = Image::Channels, Kernel = Image::Kernel;
  const auto tap = [=](int o, int c, int a, int b) { return weight[((o * Channels + c) * Kernel + a) * Kernel + b]; };
  detail::framed_conv<Image>(exec, samples, x, tap, y);
}

/// Overwrites dx, the gradient of x inside its frame: the same with channels exchanged and the kernel turned by half a
/// turn. dy: framed, dx: plain
template <class Image, class Exec, class Real>
void framed_conv_transposed(const Exec& exec, int samples, const Real* dy, const Real* weight, Real* dx) {
  constexpr int Channels = Image::Channels, Kernel = Image::Kernel;
  const auto tap = [=](int c, int o, int a, int b) {
    return weight[((o * Channels + c) * Kernel + Kernel - 1 - a) * Kernel + Kernel - 1 - b];
  };
  detail::framed_conv<Image>(exec, samples, dy, tap, dx);
}

/// Lines of an image whose share in the gradient of the weights is summed before they are joined.
inline constexpr int gradient_lines = 16;

/// Numbers of scratch that add_framed_conv_gradient needs.
template <class Image>
constexpr std::size_t framed_conv_scratch_size(int samples) {
  return static_cast<std::size_t>(samples) * ((Image::Rows + gradient_lines - 1) / gradient_lines) * Image::weights;
}

namespace detail {

/// The lanes of sum_{i,j} dy[n, i, j] x[i, j + b] over `rows` lines, to (n, b, lane). Not inlined: next to the sums of
/// lanes its own would not stay in registers.
template <class Image, int O, int L, class Real>
[[gnu::noinline]] void gradient_of_taps(int rows, const Real* x, const Real* dy, Real* to) {
  vec<Real, L> sums[O][Image::Kernel] = {};
  for (int i = 0; i < rows; ++i, x += Image::width, dy += Image::Columns)
    for (int j = 0; j < Image::Columns; j += L) {
      vec<Real, L> g[O];
      for (int n = 0; n < O; ++n) g[n] = load<L>(dy + n * Image::Rows * Image::Columns + j);
      for (int b = 0; b < Image::Kernel; ++b) {
        const vec<Real, L> here = load<L>(x + j + b);
        for (int n = 0; n < O; ++n) sums[n][b] += g[n] * here;
      }
    }
  for (int n = 0; n < O; ++n)
    for (int b = 0; b < Image::Kernel; ++b, to += L) store<L>(to, sums[n][b]);
}

}  // namespace detail

/// dweight[o, c, a, b] += sum_{s,i,j} dy[s, o, i, j] x[s, c, i + a, j + b]. x: framed, dy: plain
template <class Image, class Exec, class Real>
void add_framed_conv_gradient(const Exec& exec, int samples, const Real* x, const Real* dy, Real* dweight,
                              Real* scratch) {
  constexpr int Channels = Image::Channels, Rows = Image::Rows, Kernel = Image::Kernel;
  constexpr int L = lanes_for<Real>(Image::Columns), blocks = (Rows + gradient_lines - 1) / gradient_lines;
  // Kernel x O sums in registers: 20 of 32, 10 of 16
  constexpr int O = detail::divisor_up_to(native_lanes<float> == 16 ? 4 : 2, Channels);
  for_ranges(exec, samples * blocks, [=](int begin, int end) {
    alignas(64) Real lanes_of_sums[O * Kernel * L];
    for (int item = begin; item < end; ++item) {
      const std::ptrdiff_t sample = item / blocks;
      const int first = item % blocks * gradient_lines, rows = std::min(gradient_lines, Rows - first);
      Real* sums = scratch + std::ptrdiff_t{item} * Image::weights;
      for (int o = 0; o < Channels; o += O)
        for (int c = 0; c < Channels; ++c)
          for (int a = 0; a < Kernel; ++a) {
            detail::gradient_of_taps<Image, O, L>(
                rows, x + sample * Image::framed_size + (c * Image::lines + first + a) * Image::width,
                dy + sample * Image::size + (o * Rows + first) * Image::Columns, lanes_of_sums);
            for (int n = 0; n < O; ++n)
              for (int b = 0; b < Kernel; ++b)
                sums[(((o + n) * Channels + c) * Kernel + a) * Kernel + b] =
                    sum<Real, L>(load<L>(lanes_of_sums + (n * Kernel + b) * L));
          }
    }
  });
  add_rows<Image::weights>(exec, samples * blocks, scratch, Image::weights, static_cast<const Real*>(nullptr), dweight);
}

// --- The same, naively: for any execution space, yardstick of the tests, and the device path ---

/// As framed_conv, one thread an output.
template <class Image, class Exec, class Real>
void framed_conv_naive(const Exec& exec, int samples, const Real* x, const Real* weight, Real* y) {
  constexpr int Channels = Image::Channels, Kernel = Image::Kernel;
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<4>>(exec, {0, 0, 0, 0},
                                                   {samples, Channels, Image::Rows, Image::Columns}),
      KOKKOS_LAMBDA(int s, int o, int i, int j) {
        Real sum = 0;
        for (int c = 0; c < Channels; ++c)
          for (int a = 0; a < Kernel; ++a)
            for (int b = 0; b < Kernel; ++b)
              sum += weight[((o * Channels + c) * Kernel + a) * Kernel + b] *
                     x[s * Image::framed_size + (c * Image::lines + i + a) * Image::width + j + b];
        y[s * Image::size + (o * Image::Rows + i) * Image::Columns + j] = sum;
      });
}

/// As framed_conv_transposed, one thread an output.
template <class Image, class Exec, class Real>
void framed_conv_transposed_naive(const Exec& exec, int samples, const Real* dy, const Real* weight, Real* dx) {
  constexpr int Channels = Image::Channels, Kernel = Image::Kernel;
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<4>>(exec, {0, 0, 0, 0},
                                                   {samples, Channels, Image::Rows, Image::Columns}),
      KOKKOS_LAMBDA(int s, int c, int i, int j) {
        Real sum = 0;
        for (int o = 0; o < Channels; ++o)
          for (int a = 0; a < Kernel; ++a)
            for (int b = 0; b < Kernel; ++b)
              sum += weight[((o * Channels + c) * Kernel + a) * Kernel + b] *
                     dy[s * Image::framed_size + (o * Image::lines + i + Kernel - 1 - a) * Image::width + j + Kernel -
                        1 - b];
        dx[s * Image::size + (c * Image::Rows + i) * Image::Columns + j] = sum;
      });
}

/// As add_framed_conv_gradient, one thread a weight.
template <class Image, class Exec, class Real>
void add_framed_conv_gradient_naive(const Exec& exec, int samples, const Real* x, const Real* dy, Real* dweight) {
  constexpr int Channels = Image::Channels, Kernel = Image::Kernel;
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<4>>(exec, {0, 0, 0, 0}, {Channels, Channels, Kernel, Kernel}),
      KOKKOS_LAMBDA(int o, int c, int a, int b) {
        Real sum = 0;
        for (int s = 0; s < samples; ++s)
          for (int i = 0; i < Image::Rows; ++i)
            for (int j = 0; j < Image::Columns; ++j)
              sum += dy[s * Image::size + (o * Image::Rows + i) * Image::Columns + j] *
                     x[s * Image::framed_size + (c * Image::lines + i + a) * Image::width + j + b];
        dweight[((o * Channels + c) * Kernel + a) * Kernel + b] += sum;
      });
}

}  // namespace fieldstep::ops
