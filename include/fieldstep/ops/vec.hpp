#pragma once
#include <fieldstep/core/packed.hpp>  // native_lanes

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__FMA__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

// Vectors of L numbers on the compiler's vector extensions (g++, clang), which map to one register where the target has
// one of that size. Host code only: device kernels use the naive versions of the operations.
namespace fieldstep::ops {

namespace detail {
template <class T, int L>
struct VecOf {
  typedef T type __attribute__((vector_size(sizeof(T) * L)));
};
}  // namespace detail

template <class T, int L>
using vec = typename detail::VecOf<T, L>::type;

template <class T>
inline constexpr int lanes = native_lanes<T>;

/// The widest vector, at most a register, that divides `count` evenly.
template <class T>
constexpr int lanes_for(int count) {
  int l = lanes<T>;
  while (count % l != 0) l /= 2;
  return l;
}

template <int L, class T>
[[gnu::always_inline]] inline vec<T, L> load(const T* p) {
  vec<T, L> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <int L, class T>
[[gnu::always_inline]] inline void store(T* p, vec<T, L> v) {
  std::memcpy(p, &v, sizeof v);
}

template <int L, class T>
[[gnu::always_inline]] inline vec<T, L> broadcast(T value) {
  return value - vec<T, L>{};
}

/// a * b + c for a full register, with one rounding where the target can. Left to itself the compiler contracts some
/// copies of a loop and, where chains of these instructions are slow, not others: the bits would depend on the copy.
template <class T, int L>
[[gnu::always_inline]] inline vec<T, L> multiply_add(vec<T, L> a, vec<T, L> b, vec<T, L> c) {
  static_assert(L == lanes<T>);
#if defined(__AVX512F__)
  if constexpr (std::same_as<T, float>) return _mm512_fmadd_ps(a, b, c);
  if constexpr (std::same_as<T, double>) return _mm512_fmadd_pd(a, b, c);
#elif defined(__FMA__)
  if constexpr (std::same_as<T, float>) return _mm256_fmadd_ps(a, b, c);
  if constexpr (std::same_as<T, double>) return _mm256_fmadd_pd(a, b, c);
#else
  return a * b + c;
#endif
}

/// Sum of the lanes by a fixed tree: ((0+4)+(2+6)) + ((1+5)+(3+7)) for eight.
template <class T, int L>
[[gnu::always_inline]] inline T sum(vec<T, L> v) {
  if constexpr (L == 1) {
    return v[0];
  } else {
    vec<T, L / 2> low, high;
    std::memcpy(&low, &v, sizeof low);
    std::memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
    return sum<T, L / 2>(low + high);
  }
}

/// rows[i][j] <-> rows[j][i]: every round interleaves the first half of the rows with the second.
template <class T, int L>
[[gnu::always_inline]] inline void transpose(vec<T, L> (&rows)[L]) {
#if defined(__CUDACC__)  // whose front end expands no pack in the shuffle
  for (int i = 0; i < L; ++i)
    for (int j = 0; j < i; ++j) {
      const T lower = rows[i][j];
      rows[i][j] = rows[j][i], rows[j][i] = lower;
    }
#else
  [&]<int... I>(std::integer_sequence<int, I...>) {
    for (int round = 1; round < L; round *= 2) {
      vec<T, L> shuffled[L];
      for (int i = 0; i < L / 2; ++i) {  // a0 b0 a1 b1 ... of the low halves, then of the high halves
        shuffled[2 * i] = __builtin_shufflevector(rows[i], rows[i + L / 2], (I / 2 + I % 2 * L)...);
        shuffled[2 * i + 1] = __builtin_shufflevector(rows[i], rows[i + L / 2], (L / 2 + I / 2 + I % 2 * L)...);
      }
      for (int i = 0; i < L; ++i) rows[i] = shuffled[i];
    }
  }
  (std::make_integer_sequence<int, L>());
#endif
}

template <class T, int L>
[[gnu::always_inline]] inline vec<T, L> max(vec<T, L> a, vec<T, L> b) {
  return a > b ? a : b;
}

/// e^x. Float: x = n ln2 + r with |r| <= ln2/2, minimax polynomial of degree 6 in r that is exact to first order,
/// exponent n put in by integer addition; relative error below 1.1e-7; x is clamped to [-87, 88].
/// Double: the C library, lane by lane.
template <class T, int L>
[[gnu::always_inline]] inline vec<T, L> exp(vec<T, L> x) {
  if constexpr (std::same_as<T, float>) {
    constexpr float shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest integer
    x = x < -87.0f ? broadcast<L>(-87.0f) : x;
    x = x > 88.0f ? broadcast<L>(88.0f) : x;
    const vec<float, L> shifted = x * 1.44269504088896f + shift;
    const vec<float, L> n = shifted - shift;
    vec<float, L> r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    vec<float, L> p = r * 0.0013814540f + 0.0083687451f;
    p = p * r + 0.041668391f;
    p = p * r + 0.16666520f;
    p = p * r + 0.49999993f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const auto bits = (std::bit_cast<vec<std::int32_t, L>>(shifted) << 23) + std::bit_cast<vec<std::int32_t, L>>(p);
    return std::bit_cast<vec<float, L>>(bits);
  } else {
    for (int l = 0; l < L; ++l) x[l] = std::exp(x[l]);
    return x;
  }
}

/// 2^x for x <= 0, as a softmax asks for: x = n + r with |r| <= 1/2, minimax polynomial of degree 6 in r, exponent n
/// put in by integer addition; relative error below 8e-8, or 1.1e-7 where multiply-adds round twice. Below -126 it
/// stays at 2^-126. Double: the C library.
template <class T, int L>
[[gnu::always_inline]] inline vec<T, L> exp2_negative(vec<T, L> x) {
  if constexpr (std::same_as<T, float>) {
    constexpr float shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest integer
    x = x < -126.0f ? broadcast<L>(-126.0f) : x;
    const vec<float, L> shifted = x + shift;
    const vec<float, L> r = x - (shifted - shift);
    vec<float, L> p = r * 1.5345812e-4f + 1.3399931e-3f;
    p = p * r + 9.6184891e-3f;
    p = p * r + 5.5503286e-2f;
    p = p * r + 2.4022646e-1f;
    p = p * r + 6.9314718e-1f;
    p = p * r + 1.0f;
    return std::bit_cast<vec<float, L>>((std::bit_cast<vec<std::int32_t, L>>(shifted) << 23) +
                                        std::bit_cast<vec<std::int32_t, L>>(p));
  } else {
    for (int l = 0; l < L; ++l) x[l] = std::exp2(x[l]);
    return x;
  }
}

namespace detail {

/// Phi(-a) e^(a^2/2) for a >= 0: a minimax polynomial of degree 7 in 1 / (1 + a/4).
template <int L>
[[gnu::always_inline]] inline vec<float, L> gelu_tail(vec<float, L> a) {
  const vec<float, L> t = 1.0f / (a * 0.25f + 1.0f);
  vec<float, L> h = t * -0.09920234233140945f + 0.3782443106174469f;
  h = h * t - 0.34074506163597107f;
  h = h * t + 0.36125653982162476f;
  h = h * t - 0.02563263103365898f;
  h = h * t + 0.13051079213619232f;
  h = h * t + 0.09529336541891098f;
  return h * t + 0.00027503646560944617f;
}

}  // namespace detail

/// GELU in its erf form, x Phi(x), as max(x, 0) - |x| Phi(-|x|).
/// Float: largest error 2.4e-7 for |x| <= 9 (PyTorch's own float version: 4.5e-7), and unlike 1 + erf it keeps its
/// relative accuracy for large negative x.
/// Double: the C library's erfc.
template <class T, int L>
[[gnu::always_inline]] inline vec<T, L> gelu(vec<T, L> x) {
  const vec<T, L> zero{};
  const vec<T, L> positive = x > zero ? x : zero;
  const vec<T, L> a = x > zero ? x : -x;
  if constexpr (std::same_as<T, float>) {
    return positive - a * exp<float, L>(a * a * -0.5f) * detail::gelu_tail<L>(a);
  } else {
    for (int l = 0; l < L; ++l) x[l] = positive[l] - a[l] * T(0.5) * std::erfc(a[l] * T(0.70710678118654752440));
    return x;
  }
}

/// gelu(x) and its derivative Phi(x) + x phi(x), which share the exponential.
template <class T, int L>
[[gnu::always_inline]] inline vec<T, L> gelu(vec<T, L> x, vec<T, L>& slope) {
  const vec<T, L> zero{};
  const vec<T, L> a = x > zero ? x : -x;
  const vec<T, L> density = exp<T, L>(a * a * T(-0.5));
  vec<T, L> tail;  // Phi(-a)
  if constexpr (std::same_as<T, float>) {
    tail = density * detail::gelu_tail<L>(a);
  } else {
    for (int l = 0; l < L; ++l) tail[l] = T(0.5) * std::erfc(a[l] * T(0.70710678118654752440));
  }
  slope = (x > zero ? 1 - tail : tail) + x * density * T(0.39894228040143267794);
  return (x > zero ? x : zero) - a * tail;
}

/// gelu for one number, for any execution space: yardstick of the test and benchmark, and the device path.
template <class Real>
KOKKOS_FUNCTION Real gelu_naive(Real x) {
  return x * Real(0.5) * Kokkos::erfc(x * Real(-0.70710678118654752440));
}

}  // namespace fieldstep::ops
