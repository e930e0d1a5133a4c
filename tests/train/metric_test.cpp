#include <fieldstep/train/metric.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <numbers>
#include <vector>

using namespace fieldstep;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::WithinRel;
using train::FieldShape;
using train::Metric;

TEST_CASE("Metric: of the Well and of PDEBench, by hand", "[train][metric]") {
  const FieldShape shape{.channels = 2, .axes = {3, 3}};
  std::vector<double> reference(18), forecast;
  for (std::size_t i = 0; i < 18; ++i) reference[i] = static_cast<double>(i % 9);
  forecast = reference;
  forecast[4] += 9;  // the centre of channel 0
  forecast[9] += 6;  // a corner of channel 1
  const auto of = [&](const char* name) { return Metric(name)(shape, forecast.data(), reference.data()); };
  CHECK(of("cRMSE") == (1 + 6. / 9) / 2);
  CHECK_THAT(of("bRMSE"), WithinRel(std::sqrt(2 * 36. / 12) / 2, 1e-14));  // a corner belongs to two sides
  CHECK_THAT(of("VRMSE"), WithinRel((std::sqrt(9 / (7.5 + 1e-7)) + std::sqrt(4 / (7.5 + 1e-7))) / 2, 1e-14));
  CHECK_THAT(of("mean_nMSE"), WithinRel((81. + 36.) / 204, 1e-14));
}

TEST_CASE("Metric: a wave is in its band and its derivative is larger by its wave number", "[train][metric]") {
  const FieldShape shape{.channels = 1, .axes = {12, 8}, .extent = 2 * std::numbers::pi};
  std::vector<double> wave(96);
  for (std::size_t i = 0; i < 96; ++i) wave[i] = std::sin(2 * std::numbers::pi * 3 * static_cast<double>(i / 8) / 12);
  const double* none = nullptr;
  const auto of = [&](const char* name) { return Metric(name)(shape, wave.data(), none); };
  CHECK(of("fourier_RMSE/low0_high2") == 0);
  CHECK_THAT(of("fourier_RMSE/low3_high3"), WithinRel(of("RMSE"), 1e-13));
  CHECK_THAT(of("fourier_RMSE/low0_high9_d1"), WithinRel(3 * of("RMSE"), 1e-13));
  CHECK_THAT(of("H1_RMSE"), WithinRel(4 * of("RMSE"), 1e-13));
}

TEST_CASE("Metric: names that there are not", "[train][metric]") {
  for (const char* name : {"", "nope", "xMSE", "MSEE", "fourier_", "sfourier_MSE", "fourier_sMSE", "fourier_MSE/low1",
                           "fourier_MSE/lowx_high2", "H1_MSE/low1_high2", "H1_sMAE"})
    CHECK_THROWS_MATCHES(Metric(name), Error, MessageMatches(ContainsSubstring("wanted one of [n|s]MAE")));
  const double x[] = {1, 2}, *none = nullptr;
  CHECK_THROWS_MATCHES(Metric("nMSE")(FieldShape{.channels = 1, .axes = {2}}, x, none), Error,
                       MessageMatches(ContainsSubstring("metric nMSE: there is no reference")));
}
