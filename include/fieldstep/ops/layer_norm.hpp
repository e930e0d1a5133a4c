#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/vec.hpp>

#include <cmath>
#include <cstddef>

namespace fieldstep::ops {

/// A scale and a shift for every channel, one row a sample: what a layer norm becomes once its condition is known.
/// step: numbers from sample to sample, 0 where all share one row.
template <class Real>
struct ChannelAffine {
  const Real* scale;
  const Real* shift;
  std::ptrdiff_t step = 0;
};

/// The source of tokens that stay where they are.
struct SameToken {
  KOKKOS_FUNCTION constexpr int operator()(int row) const { return row; }
};

namespace detail {

/// v = x - mean(x) for a row of Dim channels; returns 1 / sqrt(var + eps).
template <int Dim, int L, class Real>
[[gnu::always_inline]] inline Real centre(const Real* x, double eps, vec<Real, L> (&v)[Dim / L]) {
  vec<Real, L> total{}, squares{};
  for (int c = 0; c < Dim / L; ++c) total += v[c] = load<L>(x + c * L);
  const Real mean = sum<Real, L>(total) / Dim;
  for (int c = 0; c < Dim / L; ++c) v[c] -= mean, squares += v[c] * v[c];
  return 1 / std::sqrt(sum<Real, L>(squares) / Dim + static_cast<Real>(eps));
}

/// y = base + keep * (scale * (x - mean) / sqrt(var + eps) + shift) in every row of Dim channels; base and keep may be
/// null for 0 and 1. source(row) says which row of x becomes row `row` of y.
template <int Dim, class Exec, class Real, class Source>
void layer_norm(const Exec& exec, int samples, int positions, const Real* x, const ChannelAffine<Real>& affine,
                double eps, const Real* base, const Real* keep, Real* y, const Source& source) {
  constexpr int L = lanes_for<Real>(Dim), vectors = Dim / L;
  for_ranges(exec, samples * positions, [=](int begin, int end) {
    for (int row = begin; row < end; ++row) {
      const int sample = row / positions;
      const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * Dim;
      const Real *scale = affine.scale + sample * affine.step, *shift = affine.shift + sample * affine.step;
      vec<Real, L> v[vectors];
      const Real rstd = centre<Dim, L>(x + static_cast<std::ptrdiff_t>(source(row)) * Dim, eps, v);
      const Real factor = keep ? keep[sample] : Real(1);
      for (int c = 0; c < vectors; ++c) {
        vec<Real, L> result = v[c] * rstd * load<L>(scale + c * L) + load<L>(shift + c * L);
        if (keep) result *= factor;
        if (base) result += load<L>(base + at + c * L);
        store<L>(y + at + c * L, result);
      }
    }
  });
}

}  // namespace detail

/// Layer normalisation over the channels of every token, with a scale and a shift a sample.
///   x, y: (samples, positions, Dim), which may be the same
/// Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450, eq. 3.
template <int Dim, class Exec, class Real>
void layer_norm(const Exec& exec, int samples, int positions, const Real* x, const ChannelAffine<Real>& affine,
                double eps, Real* y) {
  detail::layer_norm<Dim>(exec, samples, positions, x, affine, eps, static_cast<const Real*>(nullptr),
                          static_cast<const Real*>(nullptr), y, SameToken{});
}

/// The same where the tokens also change places: token `row` of y is token source(row) of x, which must not be y.
template <int Dim, class Exec, class Real, class Source>
void layer_norm_from(const Exec& exec, int samples, int positions, const Real* x, const Source& source,
                     const ChannelAffine<Real>& affine, double eps, Real* y) {
  detail::layer_norm<Dim>(exec, samples, positions, x, affine, eps, static_cast<const Real*>(nullptr),
                          static_cast<const Real*>(nullptr), y, source);
}

/// y = x + keep * layer_norm(branch): the end of a residual branch in Swin V2. y may be x; keep: a factor a sample,
/// null for 1.
template <int Dim, class Exec, class Real>
void add_layer_norm(const Exec& exec, int samples, int positions, const Real* x, const Real* branch,
                    const ChannelAffine<Real>& affine, double eps, Real* y, const Real* keep = nullptr) {
  detail::layer_norm<Dim>(exec, samples, positions, branch, affine, eps, x, keep, y, SameToken{});
}

namespace detail {

/// Of a row of Dim channels: its mean and 1 / sqrt(var + eps).
template <int Dim, class Real>
KOKKOS_FUNCTION Kokkos::pair<Real, Real> mean_and_rstd(const Real* x, double eps) {
  Real mean = 0, variance = 0;
  for (int c = 0; c < Dim; ++c) mean += x[c] / Dim;
  for (int c = 0; c < Dim; ++c) variance += (x[c] - mean) * (x[c] - mean) / Dim;
  return {mean, 1 / Kokkos::sqrt(variance + static_cast<Real>(eps))};
}

}  // namespace detail

/// As layer_norm, one thread a token, for any execution space: yardstick of the tests, and the device path.
template <int Dim, class Exec, class Real>
void layer_norm_naive(const Exec& exec, int samples, int positions, const Real* x, const ChannelAffine<Real>& affine,
                      double eps, Real* y) {
  Kokkos::parallel_for(
      Kokkos::RangePolicy<Exec>(exec, 0, samples * positions), KOKKOS_LAMBDA(int row) {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * Dim, affine_at = row / positions * affine.step;
        const auto [mean, rstd] = detail::mean_and_rstd<Dim>(x + at, eps);
        for (int c = 0; c < Dim; ++c)
          y[at + c] = (x[at + c] - mean) * rstd * affine.scale[affine_at + c] + affine.shift[affine_at + c];
      });
}

}  // namespace fieldstep::ops
