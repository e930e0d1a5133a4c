#include <fieldstep/blocks/instance_norm.hpp>
#include <support/drawn_weights.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 3, rows = 4, columns = 5, positions = rows * columns, channels = 12;
constexpr std::size_t count = samples * positions * channels;

}  // namespace

TEMPLATE_TEST_CASE("InstanceNorm2d: agrees with its formula", "[blocks][instance_norm]", float, double) {
  using Norm = blocks::InstanceNorm2d<TestType, channels>;
  const DrawnWeights<Norm, TestType> weights;
  const auto x = drawn<TestType>("x", count, .4), y = constant<TestType>(count);
  const auto scale = constant<TestType>(samples * channels), shift = constant<TestType>(samples * channels);
  Norm::forward(Exec(), weights.weights(), samples, positions, x.data(), scale.data(), shift.data(), y.data());
  const auto exact = reference::instance_norm(reference::image_of(x, samples, rows, columns), weights.state()["weight"],
                                              weights.state()["bias"]);
  CHECK(relative_l2(in_double(y), channels_last(exact)) < rounding<TestType>);
}

TEST_CASE("InstanceNorm2d: a constant channel gives the bias", "[blocks][instance_norm]") {
  using Norm = blocks::InstanceNorm2d<double, channels>;
  const DrawnWeights<Norm, double> weights;
  const auto x = constant<double>(positions * channels, 3.), y = constant<double>(positions * channels);
  const auto scale = constant<double>(channels), shift = constant<double>(channels);
  Norm::forward(Exec(), weights.weights(), 1, positions, x.data(), scale.data(), shift.data(), y.data());
  for (std::size_t i = 0; i < y.size(); ++i)
    CHECK(std::abs(y.data()[i] - weights.state()["bias"][i % channels]) < 1e-12);
}
