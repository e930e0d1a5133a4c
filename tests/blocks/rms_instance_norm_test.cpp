#include <fieldstep/blocks/rms_instance_norm.hpp>
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

TEMPLATE_TEST_CASE("RMSInstanceNorm2d: agrees with its formula", "[blocks][rms_instance_norm]", float, double) {
  using Norm = blocks::RMSInstanceNorm2d<TestType, channels>;
  const DrawnWeights<Norm, TestType> weights;
  const auto x = drawn<TestType>("x", count, .4), y = constant<TestType>(count);
  const auto scale = constant<TestType>(samples * channels);
  Norm::forward(Exec(), weights.weights(), samples, positions, x.data(), scale.data(), y.data());
  const auto exact =
      reference::rms_instance_norm(reference::image_of(x, samples, rows, columns), weights.state()["weight"]);
  CHECK(relative_l2(in_double(y), channels_last(exact)) < rounding<TestType>);
}

TEST_CASE("RMSInstanceNorm2d: its bias is never used, its mean stays, one position gives NaN",
          "[blocks][rms_instance_norm]") {
  using Norm = blocks::RMSInstanceNorm2d<double, 1>;
  const auto weight = constant<double>(1, 2.), bias = constant<double>(1), scale = constant<double>(1);
  Norm::Weights w;
  w.weight = Tensor<const double, 1>(weight.data()), w.bias = Tensor<const double, 1>(bias.data());
  const auto x = constant<double>(2, 1.), y = constant<double>(2);
  x.data()[1] = 3;  // sigma = sqrt(2)
  Norm::forward(Exec(), w, 1, 2, x.data(), scale.data(), y.data());
  CHECK(std::abs(y.data()[0] - 2 / (std::sqrt(2.) + 1e-8)) < 1e-15);
  CHECK(std::abs(y.data()[1] - 6 / (std::sqrt(2.) + 1e-8)) < 1e-15);
  Norm::scales(Exec(), w, 1, 1, x.data(), scale.data());
  CHECK(std::isnan(scale.data()[0]));
}
