#include <fieldstep/train/evaluation.hpp>
#include <support/rollout_scene.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::WithinRel;

TEST_CASE("roll_out: more samples than the stepper takes at once are the same states", "[train][evaluation]") {
  RolloutScene scene;
  GoldenStepper<double> one(1, "tanh");
  std::copy_n(scene.stepper.weights(), scene.stepper.table().back().offset + 1, one.weights());
  constexpr int steps = 4;
  constexpr std::size_t count = steps * RolloutScene::samples * RolloutScene::N;
  const Arena<double> together = constant<double>(count), apart = constant<double>(count);
  train::roll_out(scene.stepper, RolloutScene::samples, scene.windows.level(0), steps, together.data());
  train::roll_out(one, RolloutScene::samples, scene.windows.level(0), steps, apart.data());
  CHECK(same_bits(together, apart));
  // A rollout against itself has no error at any step.
  const train::FieldShape shape{.channels = 1, .axes = {RolloutScene::N}};
  CHECK(train::error_over_time(train::Metric("nRMSE"), shape, RolloutScene::samples, steps, together.data(),
                               apart.data()) == std::vector<double>(steps, 0.));
}

TEST_CASE("Curves: geometric mean and quantiles", "[train][evaluation]") {
  CHECK_THAT(train::geometric_mean({1, 4, 16, 1e9}, 3), WithinRel(4, 1e-14));
  CHECK_THAT(train::geometric_mean({2, 8}), WithinRel(4, 1e-14));
  const std::vector<std::vector<double>> curves{{3, 1}, {1, 2}, {2, 9}, {4, 4}};
  CHECK(train::quantile(curves, .5) == std::vector{2.5, 3.});
  CHECK(train::quantile(curves, 0) == std::vector{1., 1.});
  CHECK(train::quantile(curves, 1) == std::vector{4., 9.});
  CHECK_THROWS_AS(train::quantile({}, .5), Error);
  CHECK_THROWS_AS(train::geometric_mean({}), Error);
}
