#include <fieldstep/train/loss/normalised_mse.hpp>
#include <support/allocations.hpp>
#include <support/gradient.hpp>
#include <support/manifest.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::WithinRel;

namespace {

constexpr int samples = 2, channels = 3, points = 4;
constexpr std::size_t count = samples * channels * points;

}  // namespace

TEST_CASE("NormalisedMse: numbers worked out by hand", "[train][loss]") {
  const double y[] = {1, 5, -3, 0}, target[] = {2, 3, 0, 0};  // one sample, two channels of two points
  const double first = 2.5 / (6.5 + 1e-7), second = 4.5 / 1e-7;
  CHECK_THAT(train::NormalisedMse{}(1, 2, 2, y, target), WithinRel((first + second) / 2, 1e-14));
  CHECK_THAT(train::NormalisedMse{5}(1, 2, 2, y, target), WithinRel((first + second) / 10, 1e-14));
  CHECK_THAT(train::NormalisedMse::nrmse(1, 2, 2, y, target),
             WithinRel((std::sqrt(first) + std::sqrt(second)) / 2, 1e-14));
}

TEST_CASE("NormalisedMse: the gradient agrees with central differences", "[train][loss][gradient]") {
  const auto target = drawn<double>("target", count), y = drawn<double>("y", count), gradient = constant<double>(count);
  const train::NormalisedMse loss{.accumulated = 5};
  {
    const AllocationCounter counter;
    loss(samples, channels, points, y.data(), target.data(), gradient.data());
    CHECK(counter.allocations() == 0);
  }
  const auto value = [&](const Numbers& v) {
    return Numbers{loss(samples, channels, points, v.data(), target.data())};
  };
  CHECK(relative_l2(in_double(gradient), central_differences(value, in_double(y), Numbers{1})) < 1e-11);
}

TEST_CASE("NormalisedMse: where the forecast is the target there is neither loss nor gradient", "[train][loss]") {
  const auto y = drawn<float>("y", count), gradient = constant<float>(count);
  std::fill_n(y.data(), points, 0.f);  // a field of zeros has no norm either
  CHECK(train::NormalisedMse{}(samples, channels, points, y.data(), y.data(), gradient.data()) == 0);
  CHECK(same_bits(gradient, constant<float>(count, 0.f)));
}

TEMPLATE_TEST_CASE("NormalisedMse: agrees with the original", "[train][loss][golden]", float, double) {
  const Manifest manifest(FIELDSTEP_GOLDEN_DIR "/mpp/micro.json");
  const auto stored = manifest.stored_tensor("output"), loss = manifest.stored_tensor("loss"),
             slope = manifest.stored_tensor("grad/output");
  std::vector<TestType> y(stored.values.size()), target(y.size()), gradient(y.size());
  std::ranges::transform(stored.values, y.begin(), [](double v) { return static_cast<TestType>(v); });
  for (const SourceTensor& input : manifest.inputs())
    if (input.name == "target") std::ranges::copy(manifest.values(input), target.begin());
  const int fields = stored.shape[1], size = stored.shape[2] * stored.shape[3];
  const double value = train::NormalisedMse{}(stored.shape[0], fields, size, y.data(), target.data(), gradient.data());
  for (const ExpectedTensor& expected : manifest.outputs()) {
    const auto bound = [&](const StoredTensor& tensor) {
      return golden_bound<TestType>(expected.ref_err, tensor.in_double && stored.in_double);
    };
    if (expected.name == "loss") CHECK_THAT(value, WithinRel(loss.values[0], bound(loss)));
    if (expected.name == "grad/output")
      CHECK(relative_l2(Numbers(gradient.begin(), gradient.end()), slope.values) < bound(slope));
  }
}
