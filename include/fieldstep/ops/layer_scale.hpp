#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/partial_sums.hpp>
#include <fieldstep/ops/vec.hpp>

#include <algorithm>
#include <cstddef>

// Gradient of y = x + keep * gamma * branch, a learned scale a channel at the end of a residual branch, with stochastic
// depth; the product before it stores both (BranchEpilogue).
// Source: Touvron et al. 2021, arXiv:2103.17239.
namespace fieldstep::ops {

/// Rows whose share in dgamma is summed before they are joined.
inline constexpr int layer_scale_block = 32;

/// Numbers of scratch that layer_scale_backward needs.
template <int Dim>
constexpr std::size_t layer_scale_scratch_size(int rows) {
  return static_cast<std::size_t>((rows + layer_scale_block - 1) / layer_scale_block) * Dim;
}

/// dbranch = keep * gamma * dy; dgamma += sum_rows keep * dy * branch. branch, dy, dbranch: (rows, Dim); dbranch may be
/// either. keep: a factor for every `positions` rows, null for 1.
template <int Dim, class Exec, class Real>
void layer_scale_backward(const Exec& exec, int rows, const Real* branch, const Real* gamma, const Real* dy,
                          Real* dbranch, Real* dgamma, Real* scratch, const Real* keep = nullptr, int positions = 1) {
  constexpr int L = lanes_for<Real>(Dim), vectors = Dim / L;
  const int blocks = (rows + layer_scale_block - 1) / layer_scale_block;
  for_ranges(exec, blocks, [=](int begin, int end) {
    for (int block = begin; block < end; ++block) {
      const int first = block * layer_scale_block, last = std::min(first + layer_scale_block, rows);
      vec<Real, L> sums[vectors] = {};
      for (int row = first; row < last; ++row) {
        const Real kept = keep ? keep[row / positions] : Real(1);
        for (int c = 0; c < vectors; ++c) {
          const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * Dim + c * L;
          const vec<Real, L> g = load<L>(dy + at) * kept;
          sums[c] += g * load<L>(branch + at);
          store<L>(dbranch + at, g * load<L>(gamma + c * L));
        }
      }
      for (int c = 0; c < vectors; ++c) store<L>(scratch + static_cast<std::ptrdiff_t>(block) * Dim + c * L, sums[c]);
    }
  });
  add_rows<Dim>(exec, blocks, scratch, Dim, static_cast<const Real*>(nullptr), dgamma);
}

/// The same, one thread a channel, for any execution space: yardstick of the test, and the device path.
template <int Dim, class Exec, class Real>
void layer_scale_backward_naive(const Exec& exec, int rows, const Real* branch, const Real* gamma, const Real* dy,
                                Real* dbranch, Real* dgamma, const Real* keep = nullptr, int positions = 1) {
  Kokkos::parallel_for(
      Kokkos::RangePolicy<Exec>(exec, 0, Dim), KOKKOS_LAMBDA(int c) {
        Real sum = 0;
        for (int row = 0; row < rows; ++row) {
          const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * Dim + c;
          const Real g = dy[at] * (keep ? keep[row / positions] : Real(1));
          sum += g * branch[at];
          dbranch[at] = g * gamma[c];
        }
        dgamma[c] += sum;
      });
}

}  // namespace fieldstep::ops
