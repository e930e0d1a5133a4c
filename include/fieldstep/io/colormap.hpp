#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fieldstep/io/image.hpp>
#include <span>

namespace fieldstep::io {

/// Equidistant colours from the lowest value to the highest; between them colours are interpolated.
using ColorMap = std::span<const Rgb>;

namespace detail {
inline constexpr Rgb viridis_colours[]{{68, 1, 84},    {71, 44, 122}, {59, 81, 139},  {44, 113, 142}, {33, 144, 141},
                                       {39, 173, 129}, {92, 200, 99}, {170, 220, 50}, {253, 231, 37}};
inline constexpr Rgb diverging_colours[]{{16, 51, 106},   {44, 105, 170},  {118, 170, 211},
                                         {201, 221, 235}, {247, 247, 247}, {248, 213, 196},
                                         {233, 146, 115}, {194, 65, 60},   {112, 10, 34}};
}  // namespace detail

/// Lightness grows evenly, so equal steps look equal, also in grey and to the colour-blind.
inline constexpr ColorMap viridis{detail::viridis_colours};

/// Blue, white, red: for values around zero.
inline constexpr ColorMap diverging{detail::diverging_colours};

/// For values that are not finite.
inline constexpr Rgb no_value{150, 150, 150};

/// The values that the ends of a colour map stand for; values outside take the colour of the nearer end.
struct ColorRange {
  double low = 0, high = 1;
};

/// From the smallest to the largest finite value.
inline ColorRange range_of(std::span<const float> values) {
  double low = INFINITY, high = -INFINITY;
  for (const double v : values)
    if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
  if (low > high) return {};
  const double pad = low < high ? 0 : std::max(std::abs(low) / 2, 1e-6);  // a constant field lies in the middle
  return {low - pad, high + pad};
}

/// The smallest range around zero that holds all finite values.
inline ColorRange symmetric_range_of(std::span<const float> values) {
  double largest = 0;
  for (const double v : values)
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  return largest > 0 ? ColorRange{-largest, largest} : ColorRange{-1, 1};
}

inline Rgb colour_of(double value, ColorRange range, ColorMap map) {
  if (!std::isfinite(value)) return no_value;
  const double last = static_cast<double>(map.size() - 1);
  const double place = std::clamp((value - range.low) / (range.high - range.low), 0.0, 1.0) * last;
  const double below = std::min(std::floor(place), last - 1), share = place - below;
  const Rgb a = map[static_cast<std::size_t>(below)], b = map[static_cast<std::size_t>(below) + 1];
  const auto mix = [&](std::uint8_t from, std::uint8_t to) {
    return static_cast<std::uint8_t>(std::lround(from + share * (to - from)));
  };
  return {mix(a.r, b.r), mix(a.g, b.g), mix(a.b, b.b)};
}

}  // namespace fieldstep::io
