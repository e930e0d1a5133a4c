#include <fieldstep/ops/activation.hpp>
#include <support/gradient.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

template <class Activation, class Real, int L>
ops::vec<Real, L> value(ops::vec<Real, L> x, ops::vec<Real, L>& slope) {
  if constexpr (Activation::keeps_slope) {
    return Activation::template value<Real, L>(x, slope);
  } else {
    const auto y = Activation::template value<Real, L>(x);
    slope = Activation::template slope<Real, L>(y);
    return y;
  }
}

}  // namespace

TEMPLATE_TEST_CASE("activations: slopes are derivatives, 0 stays 0, float as double", "[ops][activation][gradient]",
                   ops::Identity, ops::Relu, ops::Tanh, ops::Gelu) {
  constexpr int L = ops::lanes<float>;
  for (double x = -6.03; x < 6; x += .1) {
    ops::vec<double, 1> slope, unused;
    value<TestType, double, 1>(ops::vec<double, 1>{x}, slope);
    const double expected =
        derivative([&](double t) { return value<TestType, double, 1>(ops::vec<double, 1>{x + t}, unused)[0]; });
    CHECK(std::abs(slope[0] - expected) < 1e-11);
    ops::vec<float, L> slopes;
    const auto y = value<TestType, float, L>(ops::broadcast<L>(static_cast<float>(x)), slopes);
    const double exact = value<TestType, double, 1>(ops::vec<double, 1>{static_cast<float>(x)}, unused)[0];
    CHECK(std::abs(y[L - 1] - exact) < 4e-7 * std::max(1., std::abs(exact)));
    CHECK(std::abs(slopes[L - 1] - slope[0]) < 1e-6);
  }
  ops::vec<double, 1> slope;
  CHECK(value<TestType, double, 1>(ops::vec<double, 1>{0}, slope)[0] == 0);
}

TEST_CASE("Tanh: relative error in float below 3e-7, both where it is small and at its ends", "[ops][activation]") {
  double largest = 0;
  for (float x = 1e-6f; x < 100; x *= 1.0003f) {
    const double exact = std::tanh(static_cast<double>(x));
    for (const float sign : {-1.f, 1.f})
      largest = std::max(largest, std::abs(ops::Tanh::value<float, 1>(ops::vec<float, 1>{sign * x})[0] / exact -
                                           static_cast<double>(sign)));
  }
  CHECK(largest < 3e-7);
  CHECK(ops::Tanh::value<float, 1>(ops::vec<float, 1>{-200})[0] == -1);
}
