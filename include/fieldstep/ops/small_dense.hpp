#pragma once
#include <fieldstep/ops/vec.hpp>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

// Algebra of one sample on vectors of a few dozen numbers whose lengths are known at compile time, as the inner loop of
// a minimisation wants it: no dispatch, everything in L1. Host code.
namespace fieldstep::ops {

namespace detail {

/// Registers of half the widest size where that is as fast on today's cores: fewer numbers go to waste.
template <class Real>
inline constexpr int small_lanes = lanes<Real> * sizeof(Real) > 32 ? lanes<Real> / 2 : lanes<Real>;

/// body(vec, offset) over [0, N) in vectors as wide as fit, the rest in narrower ones.
template <class Real, int N, int L = small_lanes<Real>, int From = 0, class Body>
[[gnu::always_inline]] inline void in_vectors(const Body& body) {
  if constexpr (N - From >= L)
    for (int i = From; i + L <= N; i += L) body(std::integral_constant<int, L>(), i);
  if constexpr (constexpr int done = From + (N - From) / L * L; done < N && L > 1)
    in_vectors<Real, N, L / 2, done>(body);
}

}  // namespace detail

/// x . y
template <int N, class Real>
[[gnu::always_inline]] inline Real dot(const Real* x, const Real* y) {
  constexpr int L = detail::small_lanes<Real>;
  vec<Real, L> sums{};
  Real rest = 0;
  detail::in_vectors<Real, N>([&](auto width, int i) {
    constexpr int W = width;
    const auto products = load<W>(x + i) * load<W>(y + i);
    if constexpr (W == L)
      sums += products;
    else
      rest += sum<Real, W>(products);
  });
  return sum<Real, L>(sums) + rest;
}

/// sum of x
template <int N, class Real>
[[gnu::always_inline]] inline Real total(const Real* x) {
  constexpr int L = detail::small_lanes<Real>;
  vec<Real, L> sums{};
  Real rest = 0;
  detail::in_vectors<Real, N>([&](auto width, int i) {
    constexpr int W = width;
    if constexpr (W == L)
      sums += load<W>(x + i);
    else
      rest += sum<Real, W>(load<W>(x + i));
  });
  return sum<Real, L>(sums) + rest;
}

/// y += a x
template <int N, class Real>
[[gnu::always_inline]] inline void axpy(Real a, const Real* x, Real* y) {
  detail::in_vectors<Real, N>([&](auto width, int i) {
    constexpr int W = width;
    store<W>(y + i, load<W>(y + i) + a * load<W>(x + i));
  });
}

/// y = start + x W, W (In, Out) row-major; start may be null for 0 and may be y.
template <int In, int Out, class Real>
[[gnu::always_inline]] inline void row_times_matrix(const Real* x, const Real* W, const Real* start, Real* y) {
  constexpr int L = detail::small_lanes<Real>, block = 8;  // accumulators
  const auto columns = [&]<int Count, int Width>(int first) {
    vec<Real, Width> sums[Count];
    for (int c = 0; c < Count; ++c) sums[c] = start ? load<Width>(start + first + c * Width) : vec<Real, Width>{};
    for (int i = 0; i < In; ++i)
      for (int c = 0; c < Count; ++c) sums[c] += x[i] * load<Width>(W + i * Out + first + c * Width);
    for (int c = 0; c < Count; ++c) store<Width>(y + first + c * Width, sums[c]);
  };
  constexpr int whole = Out / L, blocks = whole / block;
  for (int b = 0; b < blocks; ++b) columns.template operator()<block, L>(b * block * L);
  if constexpr (whole % block > 0) columns.template operator()<whole % block, L>(blocks * block * L);
  if constexpr (Out % L > 0)
    detail::in_vectors<Real, Out, L / 2, whole * L>(
        [&](auto width, int i) { columns.template operator()<1, decltype(width)::value>(i); });
}

/// y[i] = W[i, :] . x, W (Rows, Columns) row-major: the product with the transpose of what row_times_matrix takes.
template <int Rows, int Columns, class Real>
[[gnu::always_inline]] inline void matrix_times_column(const Real* W, const Real* x, Real* y) {
  for (int i = 0; i < Rows; ++i) y[i] = dot<Columns>(W + i * Columns, x);
}

/// W += x y^T, W (Rows, Columns).
template <int Rows, int Columns, class Real>
[[gnu::always_inline]] inline void add_outer(const Real* x, const Real* y, Real* W) {
  for (int i = 0; i < Rows; ++i) axpy<Columns>(x[i], y, W + i * Columns);
}

/// ELU(x) = x for x > 0, else e^x - 1, with its relative accuracy also for x near 0.
template <int N, class Real>
[[gnu::always_inline]] inline void elu(const Real* x, Real* y) {
  detail::in_vectors<Real, N>([&](auto width, int i) {
    constexpr int W = width;
    const auto v = load<W>(x + i);
    auto below = v;
    if constexpr (std::is_same_v<Real, float>) {
      const auto series =
          v * (1 + v * (.5f + v * (.16666667f + v * (.041666667f + v * (.0083333333f + v * .0013888889f)))));
      below = v > -.25f ? series : exp<Real, W>(v) - 1;
    } else {
      for (int l = 0; l < W; ++l) below[l] = std::expm1(v[l]);
    }
    store<W>(y + i, v > 0 ? v : below);
  });
}

/// xhat = (x - mean) / sqrt(variance + eps), the variance divided by N; returns the factor.
template <int N, class Real>
[[gnu::always_inline]] inline Real standardise_row(const Real* x, Real eps, Real* xhat) {
  const Real mean = total<N>(x) / N;
  detail::in_vectors<Real, N>([&](auto width, int i) {
    constexpr int W = width;
    store<W>(xhat + i, load<W>(x + i) - mean);
  });
  const Real rstd = 1 / std::sqrt(dot<N>(xhat, xhat) / N + eps);
  detail::in_vectors<Real, N>([&](auto width, int i) {
    constexpr int W = width;
    store<W>(xhat + i, load<W>(xhat + i) * rstd);
  });
  return rstd;
}

}  // namespace fieldstep::ops
