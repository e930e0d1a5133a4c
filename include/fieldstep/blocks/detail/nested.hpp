#pragma once
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/statistics.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace fieldstep::blocks::detail {

/// Shows a convolution's result, its norm and its GELU (modules first, first + 1, first + 2 of `module`) in image
/// order.
///   x: (batch, frames, positions in nested order, Channels) on a grid of Scale x Scale patches a token (2 or 4)
template <int Rows, int Columns, int Scale, int Channels, class Exec, class Real, class Tracer>
void show_stage(const Exec& exec, const Tracer& trace, std::string_view module, int first, int batch, int frames,
                const Real* x, const Real* scale) {
  if constexpr (Tracer::active) {
    constexpr int height = Scale * Rows, width = Scale * Columns, positions = height * width;
    const int samples = batch * frames;
    std::vector<Real> image(static_cast<std::size_t>(samples) * positions * Channels);
    for (int s = 0; s < samples; ++s)
      for (int p = 0; p < positions; ++p) {
        int i = p / (Scale * Scale) / Columns, j = p / (Scale * Scale) % Columns;
        for (int place = Scale * Scale / 4; place > 0; place /= 4)
          i = 2 * i + (p / place / 2 % 2), j = 2 * j + (p / place % 2);
        const Real* from = x + (static_cast<std::size_t>(s) * positions + p) * Channels;
        std::copy(from, from + Channels,
                  image.data() + ((static_cast<std::size_t>(s) * height + i) * width + j) * Channels);
      }
    const auto show = [&](int index) {
      trace(std::string(module) + "." + std::to_string(first + index), "btijc",
            {batch, frames, height, width, Channels}, image.data());
    };
    show(0);
    ops::scale_shift<Channels>(exec, samples, positions, image.data(), scale, static_cast<const Real*>(nullptr),
                               image.data());
    show(1);
    for (Real& v : image) v = ops::gelu<Real, 1>(ops::vec<Real, 1>{v})[0];
    show(2);
  }
}

}  // namespace fieldstep::blocks::detail
