#pragma once
#include <fieldstep/ops/loaders.hpp>  // SampleRange
#include <fieldstep/ops/vec.hpp>

#include <cstddef>

namespace fieldstep::ops {

/// Stores residual + keep * gamma * (x W + bias): the end of a residual branch with layer scale and stochastic depth.
///   residual: (samples, positions, Width), read at samples(row / positions); keep: a factor a sample, null for 1
template <class Real, int Width>
struct ResidualEpilogue {
  const Real* bias;
  const Real* gamma;
  const Real* residual;
  const Real* keep;
  int positions;
  SampleRange samples;

  template <int L>
  [[gnu::always_inline]] auto columns(int column) const {
    return [this, column, b = load<L>(bias + column), g = load<L>(gamma + column)](int row, vec<Real, L> sums) {
      const int sample = samples(row / positions);
      const auto at = (static_cast<std::ptrdiff_t>(sample) * positions + row % positions) * Width + column;
      vec<Real, L> branch = (sums + b) * g;
      if (keep) branch = branch * keep[sample];
      return load<L>(residual + at) + branch;
    };
  }
};

/// Stores residual + x W; residual: (rows, stride), may be where the result goes.
template <class Real>
struct AddEpilogue {
  const Real* residual;
  std::ptrdiff_t stride;

  template <int L>
  [[gnu::always_inline]] auto columns(int column) const {
    return
        [at = residual + column, step = stride](int row, vec<Real, L> sums) { return load<L>(at + row * step) + sums; };
  }
};

/// Stores gelu(x W + bias) and, for the backward pass, its derivative beside it; slope: (rows, stride).
template <class Real>
struct BiasGeluSlopeEpilogue {
  const Real* bias;
  Real* slope;
  std::ptrdiff_t stride;

  template <int L>
  [[gnu::always_inline]] auto columns(int column) const {
    return [b = load<L>(bias + column), to = slope + column, step = stride](int row, vec<Real, L> sums) {
      vec<Real, L> derivative;
      const vec<Real, L> y = gelu<Real, L>(sums + b, derivative);
      store<L>(to + row * step, derivative);
      return y;
    };
  }
};

/// Stores residual + gamma * (x W + bias) and, for the backward pass, x W + bias beside it. residual, branch: (rows,
/// stride)
template <class Real>
struct LayerScaleEpilogue {
  const Real* bias;
  const Real* gamma;
  const Real* residual;
  Real* branch;
  std::ptrdiff_t stride;

  template <int L>
  [[gnu::always_inline]] auto columns(int column) const {
    return [this, column, b = load<L>(bias + column), g = load<L>(gamma + column)](int row, vec<Real, L> sums) {
      const std::ptrdiff_t at = row * stride + column;
      const vec<Real, L> value = sums + b;
      store<L>(branch + at, value);
      return load<L>(residual + at) + value * g;
    };
  }
};

}  // namespace fieldstep::ops
