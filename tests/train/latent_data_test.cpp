#include <fieldstep/train/latent_data.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>
#include <vector>

using namespace fieldstep;
using Catch::Matchers::WithinAbs;

namespace {

/// Largest distance of the channels' means from 0 and of their variances from 1.
double off_standard(const std::vector<float>& X, std::size_t channels) {
  double worst = 0;
  for (std::size_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    const auto rows = static_cast<double>(X.size() / channels);
    for (std::size_t i = c; i < X.size(); i += channels)
      sum += static_cast<double>(X[i]) / rows, squares += static_cast<double>(X[i] * X[i]) / rows;
    worst = std::max({worst, std::abs(sum), std::abs(squares - 1)});
  }
  return worst;
}

}  // namespace

TEST_CASE("orthonormal: rows, or of a tall matrix columns", "[core][random]") {
  for (const auto& [rows, columns] : {std::pair{4, 9}, {7, 3}, {5, 5}}) {
    const auto q = orthonormal(static_cast<std::size_t>(rows), static_cast<std::size_t>(columns), make_key(1));
    const int n = std::min(rows, columns), length = std::max(rows, columns);
    const int along = rows > columns ? columns : 1, across = rows > columns ? 1 : columns;
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j) {
        double dot = 0;
        for (int k = 0; k < length; ++k)
          dot +=
              q[static_cast<std::size_t>(i * across + k * along)] * q[static_cast<std::size_t>(j * across + k * along)];
        CHECK_THAT(dot, WithinAbs(i == j, 1e-14));
      }
  }
}

TEST_CASE("switching_linear_system: standard channels, sticky states, equal for equal keys", "[train][latent]") {
  const train::SwitchingSystem system{.sequences = 40, .time = 50};
  const train::LatentData data = train::switching_linear_system(system, make_key(1));
  CHECK(data.X.size() == 40U * 50 * 12);
  CHECK(off_standard(data.X, 12) < 1e-5);
  CHECK((std::ranges::min(data.states) == 0 && std::ranges::max(data.states) == 2));
  int switches = 0;
  for (std::size_t i = 1; i < data.states.size(); ++i) switches += i % 50 != 0 && data.states[i] != data.states[i - 1];
  CHECK((switches > 20 && switches < 60));  // 40 x 49 x .03 x 2/3 = 39 are expected
  CHECK(train::switching_linear_system(system, make_key(1)).X == data.X);
  CHECK(train::switching_linear_system(system, make_key(2)).X != data.X);
}

TEST_CASE("switching_linear_system: without noise a state is a linear map of the latents", "[train][latent]") {
  const train::SwitchingSystem quiet{.sequences = 1,
                                     .time = 400,
                                     .channels = 2,
                                     .states = 1,
                                     .latents = 2,
                                     .process_noise = 0,
                                     .observation_noise = 0};
  const std::vector<float> X = train::switching_linear_system(quiet, make_key(4)).X;
  // A damped rotation in a plane obeys x[t+1] = a x[t] - .99^2 x[t-1] up to a constant, whatever the read-out.
  const auto x = [&](int t) { return static_cast<double>(X[static_cast<std::size_t>(2 * t)]); };
  const auto d = [&](int t) { return x(t + 1) - x(t); };
  const double a = (d(2) + .9801 * d(0)) / d(1);
  for (int t = 1; t < 60; ++t) CHECK_THAT(d(t + 1), WithinAbs(a * d(t) - .9801 * d(t - 1), 2e-5));
}

TEST_CASE("coupled_rossler: stays on its attractor, and the slow system is slow", "[train][latent]") {
  const train::LatentData data = train::coupled_rossler({}, make_key(1));
  CHECK(data.X.size() == 32U * 100 * 16);
  CHECK(off_standard(data.X, 16) < 1e-5);
  const auto turns = [](const auto& signal, std::size_t stride) {
    int count = 0;
    for (std::size_t i = stride; i < signal.size(); i += stride) count += signal[i] > 0 && signal[i - stride] <= 0;
    return count;
  };
  CHECK(std::ranges::max(data.slow) < 15);
  const int slow = turns(data.slow, 1);
  CHECK((slow >= 2 && slow <= 4));  // 320 times of a period of some 6 x 20
  CHECK(turns(data.X, 16) > 10 * slow);
}
