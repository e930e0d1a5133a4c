#pragma once
#include <fieldstep/core/random.hpp>
#include <fieldstep/train/reference/vorticity.hpp>

#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

namespace fieldstep::train {

/// Decaying flows in a periodic square from smooth random vortices.
struct FlowData {
  int samples = 16, frames = 40;
  int waves = 4;         ///< largest wave number of the initial vorticity along an axis
  double vorticity = 2;  ///< its root mean square
  double viscosity = 2e-3, dt = .02;
  int substeps = 10;  ///< of dt between two frames
  int warmup = 5;     ///< frames that are left out
};

/// Their velocity, (samples, frames, 2, N, N). A flow's numbers depend on the key and its number alone.
template <int N, class Real = float, class Exec = Kokkos::DefaultHostExecutionSpace>
std::vector<Real> decaying_flows(const FlowData& options, Key key, const Exec& exec = {}) {
  constexpr std::size_t size = std::size_t{N} * N;
  const auto samples = static_cast<std::size_t>(options.samples), frames = static_cast<std::size_t>(options.frames);
  VorticityFlow<N, Real, Exec> flow(
      options.samples, {.viscosity = options.viscosity, .dt = options.dt, .substeps = options.substeps}, exec);
  std::vector<Real> w(samples * size), next(w.size()), uv(2 * w.size()), all(frames * uv.size());
  for (std::size_t s = 0; s < samples; ++s) {
    const Key own = split(key, s, samples);
    std::vector<double> field(size);
    std::uint64_t draw = 0;
    double squares = 0;
    for (int ky = -options.waves; ky <= options.waves; ++ky)
      for (int kx = 0; kx <= options.waves; ++kx) {
        if (kx == 0 && ky <= 0) continue;
        const double amplitude = static_cast<double>(random_normal(random_bits(own, draw++, 0))),
                     phase = 2 * std::numbers::pi * static_cast<double>(random_uniform(random_bits(own, draw++, 0)));
        for (int i = 0; i < N; ++i)
          for (int j = 0; j < N; ++j)
            field[static_cast<std::size_t>(i * N + j)] +=
                amplitude * std::cos(2 * std::numbers::pi * (ky * i + kx * j) / N + phase);
      }
    for (const double value : field) squares += value * value;
    const double scale = options.vorticity / std::sqrt(squares / static_cast<double>(size));
    for (std::size_t i = 0; i < size; ++i) w[s * size + i] = static_cast<Real>(scale * field[i]);
  }
  for (int t = -options.warmup; t < options.frames; ++t) {
    if (t >= 0) flow.velocity(options.samples, w.data(), uv.data());
    for (std::size_t s = 0; t >= 0 && s < samples; ++s)
      std::copy_n(uv.data() + s * 2 * size, 2 * size,
                  all.data() + (s * frames + static_cast<std::size_t>(t)) * 2 * size);
    flow.forward(options.samples, w.data(), next.data());
    w.swap(next);
  }
  return all;
}

}  // namespace fieldstep::train
