#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>
#include <fieldstep/core/metrics.hpp>
#include <limits>
#include <span>
#include <vector>

using Catch::Matchers::WithinRel;
using fieldstep::field_error;
using fieldstep::field_errors;
using fieldstep::relative_l1_percent;

TEST_CASE("field_error: the definitions, by hand", "[core][metrics]") {
  const std::vector<double> reference{1, 2, 3, 6}, forecast{1, 2, 5, 2};  // errors 0, 0, 2, -4
  const auto error = field_error<double>(forecast, reference);
  CHECK_THAT(error.rmse, WithinRel(std::sqrt(5.0), 1e-15));
  CHECK_THAT(error.nrmse, WithinRel(std::sqrt(5 / (12.5 + 1e-7)), 1e-15));
  CHECK_THAT(error.vrmse, WithinRel(std::sqrt(5 / (14.0 / 3 + 1e-7)), 1e-15));
  CHECK(error.max == 4);
}

TEST_CASE("field_error: a constant reference is kept finite by the epsilon", "[core][metrics]") {
  const std::vector<float> zeros(16, 0), ones(16, 1);
  CHECK(field_error<float>(zeros, zeros).nrmse == 0);
  CHECK_THAT(field_error<float>(zeros, ones).vrmse, WithinRel(1 / std::sqrt(1e-7), 1e-12));
  CHECK_THAT(field_error<float>(ones, zeros).nrmse, WithinRel(1 / std::sqrt(1e-7), 1e-12));
}

TEST_CASE("field_error: large offsets cost no accuracy", "[core][metrics]") {
  std::vector<float> reference(1 << 16), forecast;
  for (std::size_t i = 0; i < reference.size(); ++i) reference[i] = 4096 + (i % 2 ? 0.5f : -0.5f);
  forecast = reference;
  forecast[7] += 1;
  const double n = static_cast<double>(reference.size());
  CHECK_THAT(field_error<float>(forecast, reference).vrmse,
             WithinRel(std::sqrt(1 / n / (n / 4 / (n - 1) + 1e-7)), 1e-12));
}

TEST_CASE("field_error: a value that is not finite shows in every number", "[core][metrics]") {
  const std::vector<float> reference{1, 2, 3, 4};
  const auto nan = field_error<float>(std::vector<float>{1, NAN, 3, 9}, reference);
  for (const double number : {nan.rmse, nan.nrmse, nan.vrmse, nan.max}) CHECK(std::isnan(number));
  const auto infinite = field_error<float>(std::vector<float>{1, INFINITY, 3, 9}, reference);
  for (const double number : {infinite.rmse, infinite.nrmse, infinite.vrmse, infinite.max}) CHECK(std::isinf(number));
}

TEST_CASE("field_errors: one entry a field", "[core][metrics]") {
  const std::vector<float> reference{1, 1, 2, 2}, forecast{1, 1, 5, 2};
  const auto errors = field_errors<float>(forecast, reference, 2);
  REQUIRE(errors.size() == 2);
  CHECK(errors[0].max == 0);
  CHECK(errors[1].max == 3);
}

TEST_CASE("relative_l1_percent: as by hand, and of a reference of zeros", "[core][metrics]") {
  const std::vector<float> x{1, -2, 4, 0}, y{2, -2, 2, 4}, zeros(4);
  CHECK(relative_l1_percent<float>(x, y) == 100 * 7.0 / 10);
  CHECK(relative_l1_percent<float>(y, y) == 0);
  CHECK(relative_l1_percent<float>(zeros, zeros) == 0);
  CHECK(relative_l1_percent<float>(x, zeros) == 100 * 7.0 / 1e-10);
  const std::vector<float> broken{1, -2, 4, std::numeric_limits<float>::quiet_NaN()};
  CHECK(std::isnan(relative_l1_percent<float>(broken, y)));
}
