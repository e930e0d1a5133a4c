#include <support/gradient.hpp>

#include <catch2/catch_test_macros.hpp>
#include <cmath>

using namespace fieldstep::support;

TEST_CASE("derivative: exact for a polynomial of degree four, of fourth order beyond", "[support][gradient]") {
  CHECK(std::abs(derivative([](double t) { return 2 - 3 * t + t * t - 5 * t * t * t + t * t * t * t; }, 0.5) + 3) <
        1e-14);
  const auto error = [](double h) { return derivative([](double t) { return std::exp(t); }, h) - 1; };
  CHECK(std::abs(error(1e-3)) < 1e-12);
  CHECK(std::abs(error(0.1) / error(0.05) - 16) < 0.1);
}

TEST_CASE("central_differences: the transpose of the Jacobian, whatever the sizes", "[support][gradient]") {
  const Numbers x{0.3, -1.2, 0.7}, dy{2, -0.5};
  const auto f = [](const Numbers& v) { return Numbers{v[0] * std::sin(v[1]), std::exp(v[0] - v[2])}; };
  const double e = std::exp(x[0] - x[2]);
  const Numbers exact{dy[0] * std::sin(x[1]) + dy[1] * e, dy[0] * x[0] * std::cos(x[1]), -dy[1] * e};
  CHECK(relative_l2(central_differences(f, x, dy), exact) < 1e-12);
}
