#pragma once
#include <fieldstep/ops/image_conv.hpp>
#include <fieldstep/ops/partial_sums.hpp>

// The convolution of image_conv.hpp for a few channels in and out, such as one: planes (samples, channels, points) as a
// field lies, in frames, with the vectors along the last axis.
namespace fieldstep::ops {

/// Frame_ leads by as much as the first tap lies before its point.
template <class Real_, class Frame_, int Kernel, int In_, int Out_>
struct PlanarConv {
  using Real = Real_;
  using Frame = Frame_;
  static constexpr int In = In_, Out = Out_;
  static constexpr auto kernel = detail::three_axes(typename Frame::Points(), Kernel, 1);
  static constexpr int taps = kernel[0] * kernel[1] * kernel[2], weights = Out * In * taps;
  static constexpr int points = Frame::lines * Frame::columns;
  static constexpr int L = line_lanes<Real>(Frame::columns);
  using Plane = ConvImage<Real, Frame, 1, false>;

  /// Numbers between the first pixel of a window and that of tap (a, b, 0).
  static constexpr std::ptrdiff_t tap_line(int a, int b) {
    return std::ptrdiff_t{a * Frame::height + b} * Frame::width;
  }
  static const Real* window(const Real* x, int plane, int line) {
    return x + std::ptrdiff_t{plane} * Frame::size + Frame::window(line);
  }

  // Of the gradient: a block of lines is the work of one thread.
  static constexpr int block = std::max(1, 4096 / Frame::columns), sums = weights + Out;
  static constexpr int blocks(int samples) { return (samples * Frame::lines + block - 1) / block; }
  static constexpr std::size_t scratch_size(int samples) { return static_cast<std::size_t>(blocks(samples)) * sums; }
};

/// y[s, o, p] = residual[s, o, p] + bias[o] + sum_{c,t} tap(o, c, t) x[s, c, p + t]. Overwrites y; residual, as y
/// without a frame, and bias may be null for 0.
template <class C, class Exec, class Real, class Tap>
void planar_conv(const Exec& exec, int samples, const Real* x, const Tap& tap, const Real* bias, const Real* residual,
                 Real* y) {
  using Frame = typename C::Frame;
  constexpr int L = C::L, columns = Frame::columns;
  const auto lines = [=](int begin, int end) {
    const Real *in = x, *start = residual;  // local copies: no store to y can change them, so they stay in registers
    Real *out = y, taps[C::weights];
    for (int o = 0, i = 0; o < C::Out; ++o)
      for (int c = 0; c < C::In; ++c)
        for (int t = 0; t < C::taps; ++t) taps[i++] = tap(o, c, t);
    for (int n = begin; n < end; ++n) {
      const int sample = n / Frame::lines, line = n % Frame::lines;
      for (int o = 0; o < C::Out; ++o) {
        const std::ptrdiff_t at = (std::ptrdiff_t{sample} * C::Out + o) * C::points + line * columns;
        for (int first = 0; first < columns; first += L) {
          const int j = std::min(first, columns - L);
          vec<Real, L> sum = broadcast<L>(bias ? bias[o] : Real(0));
          if (start) sum += load<L>(start + at + j);
          const Real* factor = taps + o * C::In * C::taps;
          for (int c = 0; c < C::In; ++c)
            for (int a = 0; a < C::kernel[0]; ++a)
              for (int b = 0; b < C::kernel[1]; ++b) {
                const Real* from = C::window(in, sample * C::In + c, line) + C::tap_line(a, b) + j;
                for (int k = 0; k < C::kernel[2]; ++k)
                  sum = detail::fused<Real, L>(broadcast<L>(*factor++), load<L>(from + k), sum);
              }
          store<L>(out + at + j, sum);
        }
      }
    }
  };
  constexpr int least = 1 + 100'000 / (columns * C::weights);
  for_ranges(exec, samples * Frame::lines, lines, least);
}

namespace detail {

/// sums[k] = sum_j dy[line, j] x[line, j + k] over `count` lines from `first` on, counted through the samples.
template <class C, class Real>
void planar_gradient(int first, int count, int o, int c, std::ptrdiff_t tap, const Real* x, const Real* dy,
                     Real* sums) {
  using Frame = typename C::Frame;
  constexpr int L = C::L, columns = Frame::columns, rest = columns % L, taps = C::kernel[2];
  vec<Real, L> acc[taps] = {}, acc_rest[taps] = {};  // chains of their own: short lines would wait for each other
  for (int n = first; n < first + count; ++n) {
    const int sample = n / Frame::lines, line = n % Frame::lines;
    const Real* from = C::window(x, sample * C::In + c, line) + tap;
    const Real* g = dy + (std::ptrdiff_t{sample} * C::Out + o) * C::points + line * columns;
    for (int j = 0; j + L <= columns; j += L)
      for (int k = 0; k < taps; ++k) acc[k] = fused<Real, L>(load<L>(g + j), load<L>(from + j + k), acc[k]);
    if constexpr (rest > 0) {  // what the last vector has beyond the one before
      constexpr int j = columns - L;
      vec<Real, L> here = load<L>(g + j);
      for (int l = 0; l < L - rest; ++l) here[l] = 0;
      for (int k = 0; k < taps; ++k) acc_rest[k] = fused<Real, L>(here, load<L>(from + j + k), acc_rest[k]);
    }
  }
  for (int k = 0; k < taps; ++k) sums[k] = sum<Real, L>(acc[k] + acc_rest[k]);
}

}  // namespace detail

/// Adds to dweight (Out, In, taps) and to dbias (Out), which may be null, from x in frames and dy without. scratch:
/// C::scratch_size
template <class C, class Exec, class Real>
void add_planar_conv_gradient(const Exec& exec, int samples, const Real* x, const Real* dy, Real* dweight, Real* dbias,
                              Real* scratch) {
  using Frame = typename C::Frame;
  const int lines = samples * Frame::lines;
  const auto blocks = [=](int begin, int end) {
    for (int item = begin; item < end; ++item) {
      const int first = item * C::block, count = std::min(C::block, lines - first);
      Real* sums = scratch + std::ptrdiff_t{item} * C::sums;
      for (int o = 0; o < C::Out; ++o) {
        for (int c = 0; c < C::In; ++c)
          for (int a = 0; a < C::kernel[0]; ++a)
            for (int b = 0; b < C::kernel[1]; ++b, sums += C::kernel[2])
              detail::planar_gradient<C>(first, count, o, c, C::tap_line(a, b), x, dy, sums);
      }
      for (int o = 0; dbias && o < C::Out; ++o) {
        sums[o] = 0;
        for (int n = first; n < first + count; ++n) {
          const Real* g =
              dy + (std::ptrdiff_t{n / Frame::lines} * C::Out + o) * C::points + n % Frame::lines * Frame::columns;
          for (int j = 0; j < Frame::columns; ++j) sums[o] += g[j];
        }
      }
    }
  };
  for_ranges(exec, C::blocks(samples), blocks);
  for (int item = 0; item < C::blocks(samples); ++item, scratch += C::sums) {
    for (int i = 0; i < C::weights; ++i) dweight[i] += scratch[i];
    for (int o = 0; dbias && o < C::Out; ++o) dbias[o] += scratch[C::weights + o];
  }
}

}  // namespace fieldstep::ops
