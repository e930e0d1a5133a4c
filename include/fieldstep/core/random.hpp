#pragma once
#include <Kokkos_BitManipulation.hpp>
#include <Kokkos_Core.hpp>
#include <Kokkos_MathematicalFunctions.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace fieldstep {

/// Random numbers are functions of a key and an index: no state, so they do not depend on threads, on the order of the
/// draws or on how a batch is split. Bit-equal to jax.random's threefry2x32 in both of its layouts.
/// Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".
struct Key {
  std::uint32_t hi = 0, lo = 0;
  bool operator==(const Key&) const = default;
};

/// jax.random.PRNGKey(seed).
constexpr Key make_key(std::uint64_t seed) {
  return {static_cast<std::uint32_t>(seed >> 32), static_cast<std::uint32_t>(seed)};
}

/// How indices become counters; the same key gives different numbers in the two.
enum class RandomLayout {
  legacy,         ///< jax's default before version 0.5: the words depend on how many are drawn
  partitionable,  ///< jax's default since
};

/// A block of the cipher.
struct Words {
  std::uint32_t first, second;
  bool operator==(const Words&) const = default;
};

/// The block cipher: 20 rounds on the pair of counters.
KOKKOS_INLINE_FUNCTION constexpr Words threefry2x32(Key key, std::uint32_t x0, std::uint32_t x1) {
  const std::uint32_t keys[3] = {key.hi, key.lo, key.hi ^ key.lo ^ 0x1BD11BDAu};
  const int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  x0 += keys[0];
  x1 += keys[1];
  for (unsigned group = 0; group < 5; ++group) {
    for (const int r : rotations[group % 2]) {
      x0 += x1;
      x1 = Kokkos::rotl(x1, r) ^ x0;
    }
    x0 += keys[(group + 1) % 3];
    x1 += keys[(group + 2) % 3] + group + 1;
  }
  return {x0, x1};
}

/// Word `index` of the `count` words that belong to the key: jax.random.bits(key, count)[index].
KOKKOS_INLINE_FUNCTION constexpr std::uint32_t random_bits(Key key, std::uint64_t index, std::uint64_t count,
                                                           RandomLayout layout = RandomLayout::partitionable) {
  if (layout == RandomLayout::partitionable) {
    const auto [first, second] =
        threefry2x32(key, static_cast<std::uint32_t>(index >> 32), static_cast<std::uint32_t>(index));
    return first ^ second;
  }
  // Counters 0..count-1, padded with a zero to an even number, are paired half against half.
  const std::uint64_t half = (count + 1) / 2, low = index % half, high = half + low;
  const auto [first, second] =
      threefry2x32(key, static_cast<std::uint32_t>(low), high < count ? static_cast<std::uint32_t>(high) : 0u);
  return index < half ? first : second;
}

/// Key `index` of the `count` independent ones that grow from a key: jax.random.split(key, count)[index].
KOKKOS_INLINE_FUNCTION constexpr Key split(Key key, std::uint64_t index, std::uint64_t count,
                                           RandomLayout layout = RandomLayout::partitionable) {
  if (layout == RandomLayout::legacy)
    return {random_bits(key, 2 * index, 2 * count, layout), random_bits(key, 2 * index + 1, 2 * count, layout)};
  const auto [first, second] =
      threefry2x32(key, static_cast<std::uint32_t>(index >> 32), static_cast<std::uint32_t>(index));
  return {first, second};
}

/// A word as a number in [low, high). One rounding in the last line, as jax compiles it.
KOKKOS_INLINE_FUNCTION float random_uniform(std::uint32_t bits, float low = 0, float high = 1) {
  const float unit = Kokkos::bit_cast<float>((bits >> 9) | 0x3F800000u) - 1.0f;
  return Kokkos::fmax(low, Kokkos::fma(unit, high - low, low));
}

/// Inverse of erf on (-1, 1).
/// Source: Giles 2010, "Approximating the erfinv function", single precision.
KOKKOS_INLINE_FUNCTION float inverse_erf(float x) {
  constexpr float centre[9] = {2.81022636e-08f, 3.43273939e-07f, -3.5233877e-06f, -4.39150654e-06f, 0.00021858087f,
                               -0.00125372503f, -0.00417768164f, 0.246640727f,    1.50140941f};
  constexpr float tail[9] = {-0.000200214257f, 0.000100950558f, 0.00134934322f, -0.00367342844f, 0.00573950773f,
                             -0.0076224613f,   0.00943887047f,  1.00167406f,    2.83297682f};
  const float w = -Kokkos::log1p(-x * x);
  const bool central = w < 5;
  const float shifted = central ? w - 2.5f : Kokkos::sqrt(w) - 3;
  float p = central ? centre[0] : tail[0];
  for (int i = 1; i < 9; ++i) p = (central ? centre[i] : tail[i]) + p * shifted;
  return p * x;
}

/// A word as a draw from N(0, 1).
KOKKOS_INLINE_FUNCTION float random_normal(std::uint32_t bits) {
  constexpr float above_minus_one = -0x1.fffffep-1f;
  return Kokkos::numbers::sqrt2_v<float> * inverse_erf(random_uniform(bits, above_minus_one, 1));
}

/// A word as a draw from N(0, 1) restricted to (-limit, limit).
KOKKOS_INLINE_FUNCTION float random_truncated_normal(std::uint32_t bits, float limit) {
  const float edge = Kokkos::erf(limit / Kokkos::numbers::sqrt2_v<float>);
  const float draw = Kokkos::numbers::sqrt2_v<float> * inverse_erf(random_uniform(bits, -edge, edge));
  const float largest = Kokkos::nextafter(limit, 0.0f);
  return Kokkos::fmin(Kokkos::fmax(draw, -largest), largest);
}

/// 0..n-1 in random order: sorted by random words, often enough that equal words hardly matter.
inline std::vector<std::int32_t> random_permutation(Key key, std::int32_t n,
                                                    RandomLayout layout = RandomLayout::partitionable) {
  std::vector<std::pair<std::uint32_t, std::int32_t>> order(static_cast<std::size_t>(n));
  for (std::int32_t i = 0; i < n; ++i) order[static_cast<std::size_t>(i)].second = i;
  const double rounds = std::ceil(3 * std::log(std::max(1, n)) / std::log(4294967295.0));
  for (int round = 0; round < rounds; ++round) {
    const Key words = split(key, 1, 2, layout);
    key = split(key, 0, 2, layout);
    for (std::size_t i = 0; i < order.size(); ++i) order[i].first = random_bits(words, i, order.size(), layout);
    std::ranges::stable_sort(order, {}, &std::pair<std::uint32_t, std::int32_t>::first);
  }
  std::vector<std::int32_t> permutation(order.size());
  std::ranges::transform(order, permutation.begin(), &std::pair<std::uint32_t, std::int32_t>::second);
  return permutation;
}

}  // namespace fieldstep
