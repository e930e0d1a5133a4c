#include <fieldstep/train/corrector.hpp>
#include <support/numbers.hpp>
#include <support/rollout_scene.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using train::Correction;

static_assert(train::Stepper<train::Corrector<GoldenStepper<double>, GoldenReference<double>>>);

TEST_CASE("Corrector: a network of zeros leaves the solver, or nothing", "[train][corrector]") {
  RolloutScene scene;
  std::fill_n(scene.stepper.weights(), scene.stepper.table().back().offset + 1, 0.);
  constexpr std::size_t count = RolloutScene::samples * RolloutScene::N;
  const Arena<double> solver = constant<double>(count), zeros = constant<double>(count, 0);
  scene.reference.forward(RolloutScene::samples, scene.windows.level(0), solver.data());
  for (const Correction mode : {Correction::parallel, Correction::sequential, Correction::sequential_with_bypass}) {
    train::Corrector corrector(mode, scene.stepper, scene.reference);
    const Arena<double> next = constant<double>(count), kept = constant<double>(count),
                        tape = constant<double>(corrector.tape_size());
    corrector.forward(RolloutScene::samples, scene.windows.level(0), next.data());
    corrector.forward(RolloutScene::samples, scene.windows.level(0), kept.data(), tape.data());
    CHECK(same_bits(next, mode == Correction::sequential ? zeros : solver));
    CHECK(same_bits(next, kept));
  }
}
