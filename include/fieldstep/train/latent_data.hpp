#pragma once
#include <fieldstep/core/orthonormal.hpp>
#include <fieldstep/core/random.hpp>
#include <fieldstep/train/reference/runge_kutta.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <vector>

// Recordings of which the hidden cause is known, to try models of latent dynamics on.
namespace fieldstep::train {

/// Observations and what is behind them.
struct LatentData {
  std::vector<float> X;      ///< (sequences, time, channels), every channel of mean 0 and deviation 1
  std::vector<int> states;   ///< (sequences, time): of a switching system, which one rules the step to the next time
  std::vector<double> slow;  ///< (sequences, time): of coupled Rossler systems, the slow one's first coordinate
};

namespace detail {

/// Normal and uniform draws, one after the other.
class Draws {
 public:
  explicit Draws(Key key) : key_(key) {}
  double normal() { return static_cast<double>(random_normal(random_bits(key_, next_++, 0))); }
  double uniform() { return static_cast<double>(random_uniform(random_bits(key_, next_++, 0))); }
  int below(int n) { return static_cast<int>(uniform() * n); }

 private:
  Key key_;
  std::uint64_t next_ = 0;
};

/// Numbers (rows, channels) to mean 0 and deviation 1.
inline std::vector<float> standardised(const std::vector<double>& values, std::size_t channels) {
  std::vector<float> to(values.size());
  const auto rows = static_cast<double>(values.size() / channels);
  for (std::size_t c = 0; c < channels; ++c) {
    double mean = 0, squares = 0;
    for (std::size_t i = c; i < values.size(); i += channels) mean += values[i] / rows;
    for (std::size_t i = c; i < values.size(); i += channels) squares += (values[i] - mean) * (values[i] - mean) / rows;
    for (std::size_t i = c; i < values.size(); i += channels)
      to[i] = static_cast<float>((values[i] - mean) / std::sqrt(squares));
  }
  return to;
}

}  // namespace detail

/// A linear system that switches between `states` damped rotations of its latents, seen through a linear read-out.
struct SwitchingSystem {
  int sequences = 24, time = 20, channels = 12, states = 3;
  int latents = 4;    ///< even
  double stay = .97;  ///< probability that no state is drawn anew
  double process_noise = .1, observation_noise = .05;
};

/// As the data of TiDHy's golden were made, by another generator of numbers.
inline LatentData switching_linear_system(const SwitchingSystem& system, Key key) {
  const auto d = static_cast<std::size_t>(system.latents), D = static_cast<std::size_t>(system.channels);
  detail::Draws draws(split(key, 0, 2));
  std::vector<std::vector<double>> A;  // Q R Q^T with a rotation in every plane of R
  for (int k = 0; k < system.states; ++k) {
    const std::vector<double> q = orthonormal(d, d, split(split(key, 1, 2), static_cast<std::uint64_t>(k), 64));
    std::vector<double> rotation(d * d), product(d * d);
    for (std::size_t j = 0; j < d; j += 2) {
      const double angle = 2 * std::numbers::pi * (.01 + .11 * draws.uniform());
      rotation[j * d + j] = rotation[(j + 1) * d + j + 1] = .99 * std::cos(angle);
      rotation[(j + 1) * d + j] = .99 * std::sin(angle), rotation[j * d + j + 1] = -.99 * std::sin(angle);
    }
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t j = 0; j < d; ++j)
        for (std::size_t a = 0; a < d; ++a)
          for (std::size_t b = 0; b < d; ++b) product[i * d + j] += q[a * d + i] * rotation[a * d + b] * q[b * d + j];
    A.push_back(product);
  }
  std::vector<double> C(D * d), observed, x(d), next(d);
  for (double& c : C) c = draws.normal();
  LatentData data;
  for (int s = 0; s < system.sequences; ++s) {
    int state = draws.below(system.states);
    for (double& one : x) one = draws.normal();
    for (int t = 0; t < system.time; ++t) {
      data.states.push_back(state);
      for (std::size_t c = 0; c < D; ++c) {
        double sum = system.observation_noise * draws.normal();
        for (std::size_t i = 0; i < d; ++i) sum += C[c * d + i] * x[i];
        observed.push_back(sum);
      }
      for (std::size_t i = 0; i < d; ++i) {
        next[i] = system.process_noise * draws.normal();
        for (std::size_t j = 0; j < d; ++j) next[i] += A[static_cast<std::size_t>(state)][i * d + j] * x[j];
      }
      x = next;
      if (draws.uniform() > system.stay) state = draws.below(system.states);
    }
  }
  data.X = detail::standardised(observed, D);
  return data;
}

/// Two Rossler systems, of which the slower one moves two coefficients of the faster one, which is seen through a
/// linear read-out. One long recording, cut.
///   x' = -y - z, y' = x + .2 y, z' = b + z (x - c),  fast: b = .2 + .01 X, c = 5.7 + .2 X with X of the slow one
struct CoupledRossler {
  int sequences = 32, time = 100, channels = 16;
  double sampling = .1;  ///< time between two observations
  double slowness = 20;  ///< of the slow system's time
  double observation_noise = .1;
};

inline LatentData coupled_rossler(const CoupledRossler& system, Key key) {
  const auto D = static_cast<std::size_t>(system.channels);
  detail::Draws draws(key);
  std::vector<double> C(D * 3), observed, memory(RungeKuttaMemory<double>::arrays * 6), u{1, 1, 0, 1, 1, 0}, next(6);
  for (double& c : C) c = draws.normal();
  const RungeKuttaMemory<double> stages(6, memory.data());
  const auto rhs = [&](const double* w, double* k) {
    const auto rossler = [](const double* v, double b, double c, double rate, double* dv) {
      dv[0] = rate * (-v[1] - v[2]), dv[1] = rate * (v[0] + .2 * v[1]), dv[2] = rate * (b + v[2] * (v[0] - c));
    };
    rossler(w, .2 + .01 * w[3], 5.7 + .2 * w[3], 1, k), rossler(w + 3, .2, 5.7, 1 / system.slowness, k + 3);
  };
  constexpr double most = .01;
  const int steps = static_cast<int>(std::ceil(system.sampling / most));
  const auto advance = [&] {
    for (int i = 0; i < steps; ++i) {
      runge_kutta_step(6, system.sampling / steps, u.data(), next.data(), stages, rhs);
      u.swap(next);
    }
  };
  LatentData data;
  for (double t = 0; t < 20 * system.slowness; t += system.sampling) advance();  // onto the attractors
  for (int i = 0; i < system.sequences * system.time; ++i, advance()) {
    data.slow.push_back(u[3]);
    for (std::size_t c = 0; c < D; ++c)
      observed.push_back(C[c * 3] * u[0] + C[c * 3 + 1] * u[1] + C[c * 3 + 2] * u[2] +
                         system.observation_noise * draws.normal());
  }
  data.X = detail::standardised(observed, D);
  return data;
}

}  // namespace fieldstep::train
