#pragma once
#include <fieldstep/blocks/token_scratch.hpp>
#include <support/numbers.hpp>

namespace fieldstep::support {

/// A batch of tokens on a grid and what the blocks on it need beside weights: lead times, and memory that begins as
/// NaN.
template <class Real, int Samples, int Rows, int Columns, int Dim, int Hidden = 4 * Dim>
struct TokenGrid {
  static constexpr int samples = Samples, rows = Rows, columns = Columns;
  static constexpr std::size_t tokens = std::size_t{Samples} * Rows * Columns, size = tokens * Dim;
  static constexpr double eps = 1e-5;

  Arena<Real> time = drawn<Real>("time", Samples, .5, .5);
  Arena<Real> wide = constant<Real>(tokens * static_cast<std::size_t>(std::max(4 * Dim, Hidden)));
  Arena<Real> branch = constant<Real>(size);
  Arena<Real> affine = constant<Real>(std::size_t{4} * Samples * Dim);  // of norms up to twice as wide
  blocks::TokenScratch<Real> scratch{wide.data(), branch.data(), affine.data()};

  static Arena<Real> x() { return drawn<Real>("x", size); }
  static Arena<Real> unwritten() { return constant<Real>(size); }
};

}  // namespace fieldstep::support
