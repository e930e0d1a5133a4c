#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/vec.hpp>

#include <cstddef>
#include <numeric>

// What a product does to its left operand while it lays out a block of rows (see matmul.hpp). A token row is named
// (sample, position); every norm between two products is a scale, and perhaps a shift, per sample and channel.
namespace fieldstep::ops {

/// Which samples of a larger tensor a product reads: sample g of the product is first + g * step of the tensor.
struct SampleRange {
  int first = 0, step = 1;
  KOKKOS_FUNCTION constexpr int operator()(int g) const { return first + g * step; }
};

/// Rows x * scale (+ shift), scale and shift per sample and channel, then GELU if asked.
///   x: (samples, positions, Width); scale, shift: (samples, Period); channel of column k is k mod Period, so a row may
///   join several positions (2x2 patches of Period channels that lie side by side)
template <class Real, int Width, int Period, bool Shift, bool Gelu>
struct NormLoader {
  static_assert(Width % Period == 0, "NormLoader: a row must hold whole groups of Period channels");
  const Real* x;
  const Real* scale;
  const Real* shift;
  int positions;
  SampleRange samples;

  template <int Depth>
  void load_row(int row, int k, Real* to) const {
    constexpr int L = lanes_for<Real>(std::gcd(Depth, Period));
    const int sample = samples(row / positions), position = row % positions;
    const Real* from = x + (static_cast<std::ptrdiff_t>(sample) * positions + position) * Width + k;
    const Real* a = scale + static_cast<std::ptrdiff_t>(sample) * Period;
    const Real* b = Shift ? shift + static_cast<std::ptrdiff_t>(sample) * Period : nullptr;
    int c = k % Period;
    for (int i = 0; i < Depth; i += L) {
      vec<Real, L> v = load<L>(from + i) * load<L>(a + c);
      if constexpr (Shift) v += load<L>(b + c);
      if constexpr (Gelu) v = gelu<Real, L>(v);
      store<L>(to + i, v);
      c = c + L == Period ? 0 : c + L;
    }
  }
};

/// Positions of a patch pyramid in nested order: (token row, token column), then (a3, b3), then (a2, b2), each 2x2. In
/// this order the 2x2 patches of the next convolution are consecutive rows, so no permutation is ever made.
///   position -> (row, column) on the grid of 4x4-pixel patches, (4 Rows) x (4 Columns)
template <int Rows, int Columns>
struct NestedPositions {
  static constexpr int count = 16 * Rows * Columns;
  static constexpr int row(int position) {
    return position / 16 / Columns * 4 + (position >> 3 & 1) * 2 + (position >> 1 & 1);
  }
  static constexpr int column(int position) {
    return position / 16 % Columns * 4 + (position >> 2 & 1) * 2 + (position & 1);
  }
};

}  // namespace fieldstep::ops
