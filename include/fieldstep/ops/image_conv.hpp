#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/frame.hpp>
#include <fieldstep/ops/vec.hpp>

#include <algorithm>
#include <cstddef>

// Convolutions of every channel with every channel that keep the size of a field of one to three axes, cross-correlated
// as the frameworks do,
//   y[s, p, o] = sum_{c,t} weight[o, c, t] x[s, p + t - (Kernel - 1) / 2, c]      t: taps, Kernel along every axis
// for channels few enough that a product over gathered patches would spend its time gathering. x lies channels last in
// a frame (frame.hpp); its gradient is the same convolution of dy with the taps turned round.
//
// Where the outputs fill vectors, a tile of pixels times one to three vectors of outputs is kept in registers, x is
// broadcast. Where they are fewer, the inputs make the vectors, whose lanes are summed in the end. Every output is one
// chain of multiply-adds: its bits depend neither on the tile, whose last overlaps the one before, nor on the thread.
namespace fieldstep::ops {

/// Channels, and those that fill the last vector.
template <class Real>
constexpr int whole_vectors(int channels) {
  return (channels + lanes<Real> - 1) / lanes<Real> * lanes<Real>;
}

/// Images (samples, pixels of Frame_, stride), channels last. Vectors: every pixel is filled up to whole vectors with
/// channels that are zero.
template <class Real_, class Frame_, int Channels_, bool Vectors>
struct ConvImage {
  using Real = Real_;
  using Frame = Frame_;
  static constexpr int Channels = Channels_;
  static constexpr bool vectors = Vectors;
  static constexpr int stride = Vectors ? whole_vectors<Real>(Channels) : Channels;
  static constexpr std::ptrdiff_t size = std::ptrdiff_t{Frame::size} * stride;  ///< of a sample

  /// The first pixel in the field of line `line`, counted through the samples.
  template <class R>
  static R* line(R* images, int line) {
    return images + line / Frame::lines * size + std::ptrdiff_t{Frame::pixel(line % Frame::lines)} * stride;
  }
  /// To be called when a line is written.
  static void close_line(Real* images, int line) {
    Frame::close_line(images + line / Frame::lines * size, line % Frame::lines, stride);
  }
};

/// The widest vector that fits a line; the last of a line may overlap the one before.
template <class Real>
constexpr int line_lanes(int columns) {
  int l = lanes<Real>;
  while (l > columns) l /= 2;
  return l;
}

namespace detail {

/// Vectors of a tile, of `all` that a pixel has.
constexpr int tile_vectors(int all) { return all % 2 == 0 ? 2 : all % 3 == 0 ? 3 : 1; }

/// Pixels of a tile: as many as fill the registers, or less if that wastes less of a line.
template <class Real>
constexpr int tile_pixels(int vectors, int columns) {
#if defined(__AVX512F__)
  constexpr int sums = 26;
#else
  constexpr int sums = 12;
#endif
  const int most = std::min(sums / vectors, 16), tiles = (columns + most - 1) / most;
  return (columns + tiles - 1) / tiles;
}

/// a * b + c; full registers round once where the target can.
template <class Real, int L>
[[gnu::always_inline]] inline vec<Real, L> fused(vec<Real, L> a, vec<Real, L> b, vec<Real, L> c) {
  if constexpr (L == lanes<Real>)
    return multiply_add<Real, L>(a, b, c);
  else
    return a * b + c;
}

}  // namespace detail

/// How the weight of a convolution of In::Channels to Outputs channels is read: for outputs that fill vectors in panels
/// of a tile's vectors, each (taps, inputs, outputs); for fewer (outputs, taps, inputs).
template <class In, int Kernel, int Outputs, bool Vectors>
struct ConvTaps {
  using Real = typename In::Real;
  static_assert(Vectors || In::vectors, "ConvTaps: inputs or outputs must fill vectors; see planar_conv.hpp");
  static constexpr bool vectors = Vectors;
  static constexpr auto kernel = detail::three_axes(typename In::Frame::Points(), Kernel, 1);
  static constexpr int taps = kernel[0] * kernel[1] * kernel[2];
  static constexpr int tile = detail::tile_vectors(whole_vectors<Real>(Outputs) / lanes<Real>) * lanes<Real>;
  static constexpr int padded = Vectors ? whole_vectors<Real>(Outputs) : Outputs;
  static constexpr std::ptrdiff_t panel = std::ptrdiff_t{taps} * (Vectors ? In::Channels * tile : In::stride);
  static constexpr std::size_t size = std::size_t{taps} * padded * (Vectors ? In::Channels : In::stride);

  /// Overwrites `to`; weight(o, c, t).
  static void pack(Real* to, const auto& weight) {
    if constexpr (Vectors) {
      for (int first = 0; first < padded; first += tile)
        for (int t = 0; t < taps; ++t)
          for (int c = 0; c < In::Channels; ++c)
            for (int o = first; o < first + tile; ++o) *to++ = o < Outputs ? weight(o, c, t) : Real(0);
    } else {
      for (int o = 0; o < Outputs; ++o)
        for (int t = 0; t < taps; ++t)
          for (int c = 0; c < In::stride; ++c) *to++ = c < In::Channels ? weight(o, c, t) : Real(0);
    }
  }
};

namespace detail {

/// Numbers between the window's first pixel and that of tap (a, b, 0).
template <class In>
constexpr std::ptrdiff_t tap_line(int a, int b) {
  return std::ptrdiff_t{a * In::Frame::height + b} * In::Frame::width * In::stride;
}

/// M pixels times V vectors of outputs. x: the window of the first of the pixels
template <class In, class Taps, int M, int V, class Real, class Line>
[[gnu::always_inline]] inline void conv_tile(const Real* __restrict x, const Real* __restrict w, int column,
                                             int channel, const Line& line) {
  constexpr int L = lanes<Real>, stride = In::stride;
  // Without gaps between pixels, taps along a line are as good as more channels.
  constexpr int runs = stride == In::Channels ? 1 : Taps::kernel[2], length = Taps::kernel[2] / runs * In::Channels;
  vec<Real, L> acc[M][V] = {};
  for (int a = 0; a < Taps::kernel[0]; ++a)
    for (int b = 0; b < Taps::kernel[1]; ++b)
      for (int run = 0; run < runs; ++run) {
        const Real* from = x + tap_line<In>(a, b) + run * stride;
#pragma GCC unroll 2
        for (int k = 0; k < length; ++k, w += V * L) {
          vec<Real, L> factor[V];
#pragma GCC unroll 4
          for (int v = 0; v < V; ++v) factor[v] = load<L>(w + v * L);
#pragma GCC unroll 16
          for (int m = 0; m < M; ++m) {
            const vec<Real, L> here = broadcast<L>(from[m * stride + k]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[m][v] = multiply_add<Real, L>(here, factor[v], acc[m][v]);
          }
        }
      }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) line.template put<L>(column + m, channel + v * L, acc[m][v]);
}

/// M pixels of one output, the inputs in vectors.
template <class In, class Taps, int M, class Real, class Line>
[[gnu::always_inline]] inline void dot_tile(const Real* __restrict x, const Real* __restrict w, int column, int channel,
                                            const Line& line) {
  constexpr int L = lanes<Real>, stride = In::stride;
  vec<Real, L> acc[M] = {};
  for (int a = 0; a < Taps::kernel[0]; ++a)
    for (int b = 0; b < Taps::kernel[1]; ++b) {
      const Real* from = x + tap_line<In>(a, b);
      for (int k = 0; k < Taps::kernel[2] * stride; k += L, w += L) {
        const vec<Real, L> factor = load<L>(w);
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) acc[m] = multiply_add<Real, L>(load<L>(from + m * stride + k), factor, acc[m]);
      }
    }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) line.template put<1>(column + m, channel, vec<Real, 1>{sum<Real, L>(acc[m])});
}

}  // namespace detail

/// Convolves x, In's, whose frame leads by as much as the first tap lies before its point. taps: packed.
/// target.line(n) says where line n of the results goes: put<L>(column, channel, sums), for some pixels twice, then
/// close().
template <class In, class Taps, class Exec, class Real, class Target>
void conv(const Exec& exec, int samples, const Real* x, const Real* taps, const Target& target) {
  using Frame = typename In::Frame;
  constexpr int columns = Frame::columns, L = lanes<Real>, V = Taps::tile / L;
  constexpr int M = Taps::vectors ? detail::tile_pixels<Real>(V, columns) : std::min(columns, 8);
  constexpr int least = 1 + static_cast<int>(50'000 / (columns * Taps::size));  // a few microseconds for a thread
  const auto lines = [=](int begin, int end) {
    for (int n = begin; n < end; ++n) {
      const Real* window =
          x + n / Frame::lines * In::size + std::ptrdiff_t{Frame::window(n % Frame::lines)} * In::stride;
      const auto to = target.line(n);
      const Real* w = taps;
      for (int channel = 0; channel < Taps::padded; channel += Taps::vectors ? V * L : 1, w += Taps::panel)
        for (int j = 0; j < columns; j += M) {
          const int column = std::min(j, columns - M);
          if constexpr (Taps::vectors)
            detail::conv_tile<In, Taps, M, V>(window + column * In::stride, w, column, channel, to);
          else
            detail::dot_tile<In, Taps, M>(window + column * In::stride, w, column, channel, to);
        }
      to.close();
    }
  };
  for_ranges(exec, samples * Frame::lines, lines, least);
}

/// Overwrites images, frame and filling channels included, with fields (samples, Channels, points).
template <class Image, class Exec, class Real>
void frame_field(const Exec& exec, int samples, const Real* field, Real* images) {
  using Frame = typename Image::Frame;
  constexpr int Channels = Image::Channels, stride = Image::stride, lines = Frame::lines, columns = Frame::columns;
  constexpr int least = 1 + 16384 / (columns * stride);
  const auto copy = [=](int begin, int end) {
    const Real* all = field;  // local copies: no store can change them, so they stay in registers
    Real* framed = images;
    for (int n = begin; n < end; ++n) {
      Real* to = Image::line(framed, n);
      const Real* from = all + (std::ptrdiff_t{n / lines} * Channels * lines + n % lines) * columns;
      if constexpr (stride == 1) {
        constexpr int L = line_lanes<Real>(columns);  // short lines by memcpy would take several times as long
        for (int j = 0; j < columns; j += L) {
          const int at = std::min(j, columns - L);
          store<L>(to + at, load<L>(from + at));
        }
      } else {
        if constexpr (stride > Channels) std::fill_n(to, columns * stride, Real(0));
        for (int c = 0; c < Channels; ++c)
          for (int j = 0; j < columns; ++j) to[j * stride + c] = from[std::ptrdiff_t{c} * lines * columns + j];
      }
      Image::close_line(framed, n);
    }
  };
  for_ranges(exec, samples * lines, copy, least);
}

}  // namespace fieldstep::ops
