#pragma once
#include <fieldstep/core/random.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <vector>

// Small sets of trajectories to learn from, (samples, temporal horizon, state), drawn from a key as trainax draws them.
// They are computed in double and then rounded, where the original works in float32.
namespace fieldstep::train {

/// A periodic field moves on by `cells` grid points, exactly for all waves that the grid resolves: a product with the
/// shifted Dirichlet kernel. At the Nyquist frequency of an even number of points the cosine is left.
/// Source: trainax.sample_data, which multiplies the Fourier coefficients with exp(-2 pi i k cells / N).
class PeriodicShift {
 public:
  PeriodicShift(int points, double cells) : kernel_(static_cast<std::size_t>(points)) {
    for (int j = 0; j < points; ++j) {
      double sum = 1;
      for (int k = 1; 2 * k < points; ++k) sum += 2 * std::cos(2 * std::numbers::pi * k * (j - cells) / points);
      if (points % 2 == 0) sum += std::cos(std::numbers::pi * j) * std::cos(std::numbers::pi * cells);
      kernel_[static_cast<std::size_t>(j)] = sum / points;
    }
  }

  /// u -> next, both (points), not the same.
  template <class Real>
  void operator()(const Real* u, Real* next) const {
    const std::size_t n = kernel_.size();
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < n; ++j) sum += kernel_[j] * static_cast<double>(u[i >= j ? i - j : i + n - j]);
      next[i] = static_cast<Real>(sum);
    }
  }

 private:
  std::vector<double> kernel_;
};

/// Waves that a flow of constant speed carries around a periodic domain, `cfl` cells a step.
struct AdvectionData {
  int num_points = 30, num_samples = 20;
  double cfl = .75;
  int highest_init_mode = 5;  ///< of the initial state, a sum of sines and cosines with amplitudes in [-1, 1)
  int temporal_horizon = 100;
};

/// (num_samples, temporal_horizon, 1, num_points)
/// Source: trainax.sample_data.advection_1d_periodic.
template <class Real>
std::vector<Real> advection_1d_periodic(const AdvectionData& options, Key key,
                                        RandomLayout layout = RandomLayout::partitionable) {
  const auto points = static_cast<std::size_t>(options.num_points);
  const auto modes = static_cast<std::uint64_t>(options.highest_init_mode);
  const PeriodicShift advance(options.num_points, options.cfl);
  std::vector<Real> all;
  all.reserve(points * static_cast<std::size_t>(options.num_samples * options.temporal_horizon));
  std::vector<double> u(points), next(points);
  for (int s = 0; s < options.num_samples; ++s) {
    const Key own = split(key, static_cast<std::uint64_t>(s), static_cast<std::uint64_t>(options.num_samples), layout);
    const Key of_sines = split(own, 0, 3, layout), of_cosines = split(own, 1, 3, layout);
    const auto amplitude = [&](Key of, std::uint64_t mode) {
      return static_cast<double>(random_uniform(random_bits(of, mode, modes, layout), -1, 1));
    };
    for (std::size_t j = 0; j < points; ++j) {
      const double x = 2 * std::numbers::pi * static_cast<double>(j) / static_cast<double>(points);
      u[j] = 0;
      for (std::uint64_t i = 0; i < modes; ++i) {
        const double phase = static_cast<double>(i + 1) * x;
        u[j] += amplitude(of_sines, i) * std::sin(phase) + amplitude(of_cosines, i) * std::cos(phase);
      }
    }
    for (int t = 0; t < options.temporal_horizon; ++t) {
      for (const double value : u) all.push_back(static_cast<Real>(value));
      advance(u.data(), next.data());
      u.swap(next);
    }
  }
  return all;
}

/// The Lorenz system and a step of the classical Runge-Kutta method:
///   x' = sigma (y - x),  y' = x (rho - z) - y,  z' = x y - beta z
/// Source: trainax.sample_data.make_lorenz_stepper_rk4.
struct LorenzStep {
  double dt = .01, sigma = 10, rho = 28, beta = 8. / 3;

  using State = std::array<double, 3>;
  State slope(const State& u) const {
    return {sigma * (u[1] - u[0]), u[0] * (rho - u[2]) - u[1], u[0] * u[1] - beta * u[2]};
  }
  State operator()(const State& u) const {
    const auto ahead = [&](const State& k, double h) {
      return State{u[0] + h * k[0], u[1] + h * k[1], u[2] + h * k[2]};
    };
    const State k1 = slope(u), k2 = slope(ahead(k1, dt / 2)), k3 = slope(ahead(k2, dt / 2)), k4 = slope(ahead(k3, dt));
    State next = u;
    for (std::size_t i = 0; i < 3; ++i) next[i] += dt / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
    return next;
  }
};

struct LorenzData {
  int num_samples = 20, temporal_horizon = 1000;
  int num_warmup_steps = 500;  ///< that are left out, so that trajectories begin on the attractor
  double init_std = 1;         ///< of the normal draws before them
  LorenzStep step{};
};

/// (num_samples, temporal_horizon, 3)
/// Source: trainax.sample_data.lorenz_rk4.
template <class Real>
std::vector<Real> lorenz_rk4(const LorenzData& options, Key key, RandomLayout layout = RandomLayout::partitionable) {
  const std::uint64_t draws = 3 * static_cast<std::uint64_t>(options.num_samples);
  std::vector<Real> all;
  all.reserve(draws * static_cast<std::size_t>(options.temporal_horizon));
  for (std::uint64_t first = 0; first < draws; first += 3) {
    LorenzStep::State u;
    for (std::uint64_t i = 0; i < 3; ++i)
      u[i] = options.init_std * static_cast<double>(random_normal(random_bits(key, first + i, draws, layout)));
    for (int t = 0; t < options.num_warmup_steps; ++t) u = options.step(u);
    for (int t = 0; t < options.temporal_horizon; ++t, u = options.step(u))
      for (const double value : u) all.push_back(static_cast<Real>(value));
  }
  return all;
}

}  // namespace fieldstep::train
