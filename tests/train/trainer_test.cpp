#include <fieldstep/train/best_so_far.hpp>
#include <fieldstep/train/loss/normalised_mse.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/optimizer/sgd.hpp>
#include <fieldstep/train/permutation.hpp>
#include <fieldstep/train/trainer.hpp>
#include <support/allocations.hpp>
#include <support/linear_network.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::WithinRel;

namespace {

using Network = LinearNetwork<double>;
using Data = LinearData<double>;

/// A network, its data and the order of training.
struct Scene {
  Network network{Data::points};
  Data data;
  train::PermutationMixer order;
  train::Regression<Network, Data, train::PermutationMixer, train::NormalisedMse> goal;
  train::ParameterGroups groups{Network::table()};

  explicit Scene(int batch, long minibatches = 1000)
      : order(Data::sizes[0], minibatches, batch, make_key(7)), goal(network, data, order, {}, batch) {}
};

struct Recorder {
  std::vector<train::Update> updates;
  long stop_at = -1;
  bool on_step(const train::Update& update) {
    updates.push_back(update);
    return update.step == stop_at;
  }
};

}  // namespace

TEST_CASE("Trainer: an update by hand", "[train][trainer]") {
  Scene scene(2), by_hand(2);
  const train::SGD<> descent{.schedule = {.1}};
  train::Trainer trainer(scene.goal, descent, scene.groups, {.accumulate = 2, .max_norm = .5});
  Recorder recorder;
  trainer.run(1, recorder);

  const double loss = (by_hand.goal.add_gradient(0) + by_hand.goal.add_gradient(1)) / 2;
  double squares = 0;
  for (const ParamEntry& entry : Network::table())
    for (std::size_t j = 0; entry.init.trained && j < entry.stored; ++j) {
      const double g = by_hand.network.gradient()[entry.offset + j] / 2;
      squares += g * g;
    }
  const double norm = std::sqrt(squares), factor = .5 / (norm + 1e-6);
  REQUIRE(norm > .5);
  REQUIRE(recorder.updates.size() == 1);
  CHECK(recorder.updates[0].step == 1);
  CHECK_THAT(recorder.updates[0].loss, WithinRel(loss, 1e-14));
  CHECK_THAT(recorder.updates[0].gradient_norm, WithinRel(norm, 1e-14));
  for (const ParamEntry& entry : Network::table())
    for (std::size_t j = 0; j < entry.stored; ++j) {
      const double w = by_hand.network.weights()[entry.offset + j];
      const double g = entry.init.trained ? by_hand.network.gradient()[entry.offset + j] / 2 : 0;
      CHECK(std::abs(scene.network.weights()[entry.offset + j] - (w - .1 * factor * g)) < 1e-14);
    }
}

TEST_CASE("Trainer: learns, goes on where it stopped, and allocates nothing", "[train][trainer]") {
  Scene scene(3), parted(3);
  const train::AdamW<> adam{.schedule = {.02}, .weight_decay = 1e-3};
  train::Trainer trainer(scene.goal, adam, scene.groups, {}), first(parted.goal, adam, parted.groups, {});
  Recorder recorder;
  trainer.run(200, recorder);
  CHECK(trainer.step() == 200);
  CHECK(scene.goal.evaluate(scene.order(0)) < .8 * recorder.updates[0].loss);

  Recorder early{.updates = {}, .stop_at = 80}, late;
  first.run(200, early);
  CHECK(first.step() == 80);
  first.run(200, late);
  CHECK(late.updates.size() == 120);
  CHECK(std::equal(scene.network.weights(), scene.network.weights() + Network::arena_size, parted.network.weights()));

  struct Nothing {
    bool on_step(const train::Update&) { return false; }
  } nothing;
  scene.network.conditioned.reserve(1000);
  trainer.run(70 * scene.order.per_epoch() + 1, nothing);  // the first of an epoch draws its order
  const AllocationCounter counter;
  trainer.run(71 * scene.order.per_epoch(), nothing);
  CHECK(counter.allocations() == 0);
}

TEST_CASE("Trainer: a loss or gradient that is not finite ends the run before the weights move", "[train][trainer]") {
  Scene scene(1);
  const train::SGD<> descent{.schedule = {.01}};
  train::Trainer trainer(scene.goal, descent, scene.groups, {});
  // The sample of the fourth step.
  double* const target = scene.data.target(0, scene.order(3).samples[0]);
  const double before = target[0];
  target[0] = std::numeric_limits<double>::quiet_NaN();
  Recorder recorder;
  CHECK_THROWS_MATCHES(trainer.run(10, recorder), Error,
                       MessageMatches(ContainsSubstring("the loss is nan in step 4, minibatch 3 of the run")));
  CHECK(recorder.updates.size() == 3);
  CHECK(trainer.step() == 3);
  for (std::size_t i = 0; i < Network::arena_size; ++i) CHECK(std::isfinite(scene.network.weights()[i]));

  target[0] = before;
  trainer.run(10, recorder);
  CHECK(trainer.step() == 10);
}

TEST_CASE("BestSoFar: counts what is no better, and a NaN never is", "[train][best_so_far]") {
  train::BestSoFar best;
  CHECK(best.improved(3, 10));
  CHECK(!best.improved(3, 20));
  CHECK(!best.improved(std::nan(""), 30));
  CHECK(best.since == 2);
  CHECK(best.step == 10);
  CHECK(best.improved(2, 40));
  CHECK(best.since == 0);
  CHECK(best.value == 2);
}
