#pragma once
#include <fieldstep/io/npy.hpp>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <numbers>
#include <vector>

namespace fieldstep::support {

/// Periodic simulations (simulations, frames, fields, 64, 64) in a .npy file, in which every wave moves on by two
/// points a frame: a network with a reach of two can learn it.
inline void write_waves(const std::filesystem::path& path, int simulations, int frames, int fields, int first = 0) {
  constexpr int n = 64, speed = 2;
  std::vector<float> values;
  for (int s = first; s < first + simulations; ++s)
    for (int t = 0; t < frames; ++t)
      for (int f = 0; f < fields; ++f)
        for (int i = 0; i < n; ++i)
          for (int j = 0; j < n; ++j) {
            const double x = 2 * std::numbers::pi * (i - speed * t) / n, y = 2 * std::numbers::pi * j / n;
            values.push_back(static_cast<float>(std::sin(x + s + f) + .5 * std::cos(2 * x + y + 3 * s) * std::sin(y)));
          }
  io::write_npy(path, values, {simulations, frames, fields, n, n});
}

}  // namespace fieldstep::support
