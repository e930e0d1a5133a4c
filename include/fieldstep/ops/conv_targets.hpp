#pragma once
#include <fieldstep/ops/image_conv.hpp>

#include <cstddef>

// Where a convolution's sums go (image_conv.hpp): what becomes of them while they are in registers.
namespace fieldstep::ops {

/// Stores f(sums + bias), or f(sums + bias + residual), in a frame. bias: in whole vectors; slope: f' where it is kept,
/// as y is stored; residual: Skip's, may be null.
template <class Y, class Activation, class Skip = Y>
struct ActivationTarget {
  using Real = typename Y::Real;
  Real* y;
  const Real* bias;
  Real* slope = nullptr;
  const Real* residual = nullptr;

  struct Line {
    const ActivationTarget& all;
    int number;
    Real *y, *slope;
    const Real* residual;

    template <int L>
    [[gnu::always_inline]] void put(int column, int channel, vec<Real, L> sums) const {
      const int at = column * Y::stride + channel;
      sums += load<L>(all.bias + channel);
      if (residual) sums += load<L>(residual + column * Skip::stride + channel);
      if constexpr (Activation::keeps_slope) {
        vec<Real, L> derivative;
        store<L>(y + at, Activation::template value<Real, L>(sums, derivative));
        store<L>(slope + at, derivative);
      } else {
        store<L>(y + at, Activation::template value<Real, L>(sums));
      }
    }
    void close() const { Y::close_line(all.y, number); }
  };
  Line line(int n) const {
    return {*this, n, Y::line(y, n), slope ? Y::line(slope, n) : nullptr, residual ? Skip::line(residual, n) : nullptr};
  }
};

/// Stores sums * f', or (sums + residual) * f', in a frame: the gradient before the activation that made Y, whose
/// values, or kept slopes, stand in `from`.
template <class Dy, class Y, class Activation, class Skip = Dy>
struct SlopeTarget {
  using Real = typename Y::Real;
  Real* dy;
  const Real* from;
  const Real* residual = nullptr;

  struct Line {
    const SlopeTarget& all;
    int number;
    Real* dy;
    const Real *from, *residual;

    template <int L>
    [[gnu::always_inline]] void put(int column, int channel, vec<Real, L> sums) const {
      if (residual) sums += load<L>(residual + column * Skip::stride + channel);
      const vec<Real, L> here = load<L>(from + column * Y::stride + channel);
      if constexpr (Activation::keeps_slope)
        sums *= here;
      else
        sums *= Activation::template slope<Real, L>(here);
      store<L>(dy + column * Dy::stride + channel, sums);
    }
    void close() const { Dy::close_line(all.dy, number); }
  };
  Line line(int n) const {
    return {*this, n, Dy::line(dy, n), Y::line(from, n), residual ? Skip::line(residual, n) : nullptr};
  }
};

/// Stores sums + bias + residual as a field lies: (samples, Channels, points). bias and residual may be null for 0.
template <class Frame, int Channels, class Real>
struct FieldTarget {
  Real* y;
  const Real* bias = nullptr;
  const Real* residual = nullptr;

  struct Line {
    Real* y;
    const Real *bias, *residual;

    template <int L>
    [[gnu::always_inline]] void put(int column, int channel, vec<Real, L> sums) const {
      for (int l = 0; l < L && channel + l < Channels; ++l) {
        const std::ptrdiff_t at = std::ptrdiff_t{channel + l} * Frame::lines * Frame::columns + column;
        const Real with_bias = bias ? sums[l] + bias[channel + l] : sums[l];
        y[at] = residual ? residual[at] + with_bias : with_bias;
      }
    }
    void close() const {}
  };
  Line line(int n) const {
    const auto at = (std::ptrdiff_t{n / Frame::lines} * Channels * Frame::lines + n % Frame::lines) * Frame::columns;
    return {y + at, bias, residual ? residual + at : nullptr};
  }
};

/// Stores sums as pixels: (samples, lines, Columns, Stride).
template <class Real, int Columns, int Stride>
struct PixelTarget {
  Real* y;

  struct Line {
    Real* y;
    template <int L>
    [[gnu::always_inline]] void put(int column, int channel, vec<Real, L> sums) const {
      store<L>(y + column * Stride + channel, sums);
    }
    void close() const {}
  };
  Line line(int n) const { return {y + std::ptrdiff_t{n} * Columns * Stride}; }
};

}  // namespace fieldstep::ops
