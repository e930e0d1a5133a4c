#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fieldstep::support {

/// Tensors that are functions of their name, so that the goldens of full-size networks need no weight files.

constexpr std::uint64_t fnv1a64(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

/// Number `index` of splitmix64 started at `seed`.
constexpr std::uint64_t splitmix64(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

/// Entry i = offset + scale * (2u - 1), u in [0, 1) from splitmix64, in double, then rounded to float.
inline std::vector<float> synth(std::string_view name, std::size_t count, double offset = 0, double scale = 1) {
  const std::uint64_t seed = fnv1a64(name);
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double u = static_cast<double>(splitmix64(seed, i) >> 11) * 0x1p-53;
    values[i] = static_cast<float>(offset + scale * (2 * u - 1));
  }
  return values;
}

/// A smooth periodic field over the last two axes, what a solver would hand a network: for every leading index a sum of
/// modes^2 cosines with amplitudes synth(name + "/a") and phases synth(name + "/p").
inline std::vector<float> smooth(const std::string& name, std::span<const int> shape, int modes = 4) {
  const int height = shape[shape.size() - 2], width = shape[shape.size() - 1];
  std::size_t fields = 1;
  for (const int extent : shape.first(shape.size() - 2)) fields *= static_cast<std::size_t>(extent);
  const std::size_t waves = static_cast<std::size_t>(modes * modes);
  const std::vector<float> amplitude = synth(name + "/a", fields * waves);
  const std::vector<float> phase = synth(name + "/p", fields * waves, 0, std::numbers::pi);

  std::vector<float> values;
  values.reserve(fields * static_cast<std::size_t>(height) * static_cast<std::size_t>(width));
  for (std::size_t f = 0; f < fields; ++f)
    for (int i = 0; i < height; ++i)
      for (int j = 0; j < width; ++j) {
        const double y = static_cast<double>(i) / height, x = static_cast<double>(j) / width;
        double sum = 0;
        for (int ky = 0; ky < modes; ++ky)
          for (int kx = 0; kx < modes; ++kx) {
            const std::size_t wave = f * waves + static_cast<std::size_t>(ky * modes + kx);
            const double angle = 2 * std::numbers::pi * (ky * y + kx * x) + static_cast<double>(phase[wave]);
            sum += static_cast<double>(amplitude[wave]) / (1 + ky + kx) * std::cos(angle);
          }
        values.push_back(static_cast<float>(sum));
      }
  return values;
}

}  // namespace fieldstep::support
