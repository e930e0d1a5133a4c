#pragma once
#include <fieldstep/ops/loaders.hpp>  // SampleRange
#include <fieldstep/ops/vec.hpp>

#include <cstddef>

namespace fieldstep::ops {

/// Stores residual + keep * gamma * (x W + bias): the end of a residual branch with layer scale and stochastic depth.
///   residual: (samples, positions, Width), read at samples(row / positions); keep: a factor for every `positions`
///   rows, null for 1
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
      const int group = row / positions;
      const auto at = (static_cast<std::ptrdiff_t>(samples(group)) * positions + row % positions) * Width + column;
      // Factors first: one rounding less, and the same bits whether or not the compiler knows that keep is null.
      const vec<Real, L> scale = keep ? g * keep[group] : g;
      return load<L>(residual + at) + (sums + b) * scale;
    };
  }
};

/// The same and, for the backward pass, x W + bias beside it. branch: (rows, Width)
template <class Real, int Width>
struct BranchEpilogue {
  ResidualEpilogue<Real, Width> join;
  Real* branch;

  template <int L>
  [[gnu::always_inline]] auto columns(int column) const {
    return [joined = join.template columns<L>(column), b = load<L>(join.bias + column), to = branch + column](
               int row, vec<Real, L> sums) {
      store<L>(to + static_cast<std::ptrdiff_t>(row) * Width, sums + b);
      return joined(row, sums);
    };
  }
};

/// Stores x W + bias and, for the backward pass, a copy beside what will be changed in place. copy: (rows, stride)
template <class Real>
struct BiasCopyEpilogue {
  const Real* bias;
  Real* copy;
  std::ptrdiff_t stride;

  template <int L>
  [[gnu::always_inline]] auto columns(int column) const {
    return [b = load<L>(bias + column), to = copy + column, step = stride](int row, vec<Real, L> sums) {
      store<L>(to + row * step, sums + b);
      return sums + b;
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

}  // namespace fieldstep::ops
