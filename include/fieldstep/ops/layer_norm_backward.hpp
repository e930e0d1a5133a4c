#pragma once
#include <fieldstep/ops/layer_norm.hpp>
#include <fieldstep/ops/statistics.hpp>  // blocked_sum

#include <algorithm>

// Gradient of every form of layer_norm.hpp, y = base + keep * (scale xhat + shift) with xhat = (x - mean) rstd and
// rstd = 1 / sqrt(var + eps). With q = keep dy scale:
//   dx = rstd (q - mean(q) - xhat mean(q xhat));  dscale = sum_tokens keep dy xhat;  dshift = sum_tokens keep dy
namespace fieldstep::ops {

/// Tokens whose dscale and dshift are summed together before blocks are: few enough to share out a small grid.
inline constexpr int norm_block = 32;

/// Numbers of scratch that either version needs.
template <int Dim>
constexpr std::size_t layer_norm_backward_scratch_size(int samples, int positions) {
  const int blocks = (positions + norm_block - 1) / norm_block;
  return 2 * static_cast<std::size_t>(samples) * static_cast<std::size_t>(std::max(blocks * Dim, positions));
}

/// Overwrites dx, dscale and dshift.
///   x: what was normalised; x, dy, dx: (samples, positions, Dim)
///   dscale, dshift: (samples, Dim), also where all samples share one affine
///   keep: a factor a sample, null for 1
///   source: token `row` of y came from token source(row) of x, whose row of dx it gets. Without it dx may be dy or x.
template <int Dim, class Exec, class Real, class Source = SameToken>
void layer_norm_backward(const Exec& exec, int samples, int positions, const Real* x, const ChannelAffine<Real>& affine,
                         double eps, const Real* dy, Real* dx, Real* dscale, Real* dshift, Real* scratch,
                         const Real* keep = nullptr, const Source& source = {}) {
  constexpr int L = lanes_for<Real>(Dim), vectors = Dim / L;
  const int blocks = (positions + norm_block - 1) / norm_block;
  for_ranges(exec, samples * blocks, [=](int begin, int end) {
    for (int item = begin; item < end; ++item) {
      const int sample = item / blocks, first = item % blocks * norm_block;
      const int last = std::min(first + norm_block, positions);
      const Real *scale = affine.scale + sample * affine.step, factor = keep ? keep[sample] : Real(1);
      vec<Real, L> scale_sums[vectors] = {}, shift_sums[vectors] = {};
      for (int row = sample * positions + first; row < sample * positions + last; ++row) {
        const std::ptrdiff_t from = static_cast<std::ptrdiff_t>(source(row)) * Dim;
        const Real* dy_row = dy + static_cast<std::ptrdiff_t>(row) * Dim;
        vec<Real, L> xhat[vectors], q[vectors], total{}, along{};
        const Real rstd = detail::centre<Dim, L>(x + from, eps, xhat);
        for (int c = 0; c < vectors; ++c) {
          const vec<Real, L> g = load<L>(dy_row + c * L) * factor;
          xhat[c] *= rstd, q[c] = g * load<L>(scale + c * L);
          total += q[c], along += q[c] * xhat[c];
          scale_sums[c] += g * xhat[c], shift_sums[c] += g;
        }
        const Real mean = sum<Real, L>(total) / Dim, slope = sum<Real, L>(along) / Dim;
        for (int c = 0; c < vectors; ++c) store<L>(dx + from + c * L, (q[c] - mean - xhat[c] * slope) * rstd);
      }
      Real* to = scratch + static_cast<std::ptrdiff_t>(item) * 2 * Dim;
      for (int c = 0; c < vectors; ++c) store<L>(to + c * L, scale_sums[c]), store<L>(to + Dim + c * L, shift_sums[c]);
    }
  });
  for_ranges(exec, samples * 2 * vectors, [=](int begin, int end) {
    for (int item = begin; item < end; ++item) {
      const int sample = item / (2 * vectors), c = item % (2 * vectors) * L;
      const Real* column = scratch + static_cast<std::ptrdiff_t>(sample) * blocks * 2 * Dim + c;
      const auto block = [=](int b) { return load<L>(column + static_cast<std::ptrdiff_t>(b) * 2 * Dim); };
      store<L>((c < Dim ? dscale + c : dshift + c - Dim) + sample * Dim, detail::blocked_sum<Real, L>(blocks, block));
    }
  });
}

/// The same for any execution space, a thread a token or a channel: yardstick of the tests, and the device path.
template <int Dim, class Exec, class Real, class Source = SameToken>
void layer_norm_backward_naive(const Exec& exec, int samples, int positions, const Real* x,
                               const ChannelAffine<Real>& affine, double eps, const Real* dy, Real* dx, Real* dscale,
                               Real* dshift, Real* scratch, const Real* keep = nullptr, const Source& source = {}) {
  const Kokkos::RangePolicy<Exec> rows(exec, 0, samples * positions);
  Kokkos::parallel_for(
      rows, KOKKOS_LAMBDA(int row) {
        const auto [mean, rstd] = detail::mean_and_rstd<Dim>(x + static_cast<std::ptrdiff_t>(source(row)) * Dim, eps);
        scratch[2 * row] = mean, scratch[2 * row + 1] = rstd;
      });
  Kokkos::parallel_for(
      Kokkos::RangePolicy<Exec>(exec, 0, samples * Dim), KOKKOS_LAMBDA(int item) {
        const int sample = item / Dim, c = item % Dim;
        Real scale_sum = 0, shift_sum = 0;
        for (int row = sample * positions; row < (sample + 1) * positions; ++row) {
          const Real deviation = x[static_cast<std::ptrdiff_t>(source(row)) * Dim + c] - scratch[2 * row];
          const Real g = dy[static_cast<std::ptrdiff_t>(row) * Dim + c] * (keep ? keep[sample] : Real(1));
          scale_sum += g * deviation * scratch[2 * row + 1], shift_sum += g;
        }
        dscale[item] = scale_sum, dshift[item] = shift_sum;
      });
  Kokkos::parallel_for(
      rows, KOKKOS_LAMBDA(int row) {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * Dim;
        const std::ptrdiff_t from = static_cast<std::ptrdiff_t>(source(row)) * Dim;
        const Real mean = scratch[2 * row], rstd = scratch[2 * row + 1];
        const Real* scale = affine.scale + row / positions * affine.step;
        const Real factor = keep ? keep[row / positions] : Real(1);
        Real total = 0, along = 0;
        for (int c = 0; c < Dim; ++c) {
          const Real q = factor * dy[at + c] * scale[c];
          total += q, along += q * (x[from + c] - mean) * rstd;
        }
        for (int c = 0; c < Dim; ++c) {
          const Real q = factor * dy[at + c] * scale[c], xhat = (x[from + c] - mean) * rstd;
          dx[from + c] = (q - total / Dim - xhat * along / Dim) * rstd;
        }
      });
}

}  // namespace fieldstep::ops
