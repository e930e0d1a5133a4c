#include <fieldstep/train/callbacks/callbacks.hpp>
#include <fieldstep/train/callbacks/get_network.hpp>
#include <fieldstep/train/callbacks/learning_rate.hpp>
#include <fieldstep/train/callbacks/loss_history.hpp>
#include <fieldstep/train/callbacks/rollout_curriculum.hpp>
#include <fieldstep/train/callbacks/save_network.hpp>
#include <fieldstep/train/callbacks/validation.hpp>
#include <fieldstep/train/checkpoint.hpp>
#include <fieldstep/train/general_trainer.hpp>
#include <fieldstep/train/optimizer/adam.hpp>
#include <support/allocations.hpp>
#include <support/rollout_scene.hpp>
#include <support/scratch_folder.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

const train::TrainingOptions ten{.updates = 10, .batch_size = 3, .key = make_key(5)};
const train::Adam<> adam{.schedule = {1e-2}};

Numbers weights_of(GoldenStepper<double>& stepper) {
  Numbers all;
  for (const ParamEntry& entry : stepper.table())
    all.insert(all.end(), stepper.weights() + entry.offset, stepper.weights() + entry.offset + entry.size);
  return all;
}

}  // namespace

TEST_CASE("GeneralTrainer: a run that was stopped and resumed has the bits of one that was not", "[train][trainer]") {
  const ScratchFolder folder;
  RolloutScene whole, half, rest;
  const train::Supervised<> configuration{.rollout = 2};
  train::GeneralTrainer all(whole.stepper, whole.trajectories, configuration, adam, ten);
  all.run();

  train::TrainingOptions five = ten;
  five.updates = 5;
  train::GeneralTrainer first(half.stepper, half.trajectories, configuration, adam, five);
  first.run();
  train::TrainingState<double> stopped(half.stepper.table(), half.stepper.weights());
  stopped.add(first);
  train::save_checkpoint(folder / "run.safetensors", stopped, {});

  train::GeneralTrainer second(rest.stepper, rest.trajectories, configuration, adam, ten);
  train::TrainingState<double> resumed(rest.stepper.table(), rest.stepper.weights());
  resumed.add(second);
  train::load_checkpoint(folder / "run.safetensors", resumed, {});
  CHECK(second.step() == 5);
  second.run();
  CHECK(weights_of(rest.stepper) == weights_of(whole.stepper));
}

TEST_CASE("GeneralTrainer: an update allocates nothing", "[train][trainer]") {
  RolloutScene scene;
  train::TrainingOptions options = ten;
  options.updates = 4;  // an epoch of 15 windows, whose order is drawn at its beginning
  train::GeneralTrainer trainer(scene.stepper, scene.trajectories, train::Supervised<>{.rollout = 2}, adam, options);
  trainer.order()(0);
  const AllocationCounter counter;
  trainer.run();
  CHECK(counter.allocations() == 0);
}

TEST_CASE("GeneralTrainer: data and stepper that do not fit", "[train][trainer]") {
  RolloutScene scene;
  const auto train = [&](const train::TrainingOptions& options, int rollout = 2) {
    train::GeneralTrainer(scene.stepper, scene.trajectories, train::Supervised<>{.rollout = rollout}, adam, options)
        .run();
  };
  const auto says = [](const char* sentence) { return MessageMatches(ContainsSubstring(sentence)); };
  CHECK_THROWS_MATCHES(train(ten, 7), Error, says("found windows of 8 frames in 3 trajectories of 7, wanted 1 to 7"));
  train::TrainingOptions options = ten;
  options.batch_size = 4;
  CHECK_THROWS_MATCHES(train(options), Error, says("found a minibatch of 4 windows, the stepper takes 3"));
  options = ten, options.window = 2;
  CHECK_THROWS_MATCHES(train(options), Error, says("the windows have 2 snapshots, the configuration reads 3"));
  scene.trajectories.frame = 8;
  CHECK_THROWS_MATCHES(train(ten), Error, says("the stepper's states have 16 numbers, the data's 8"));
}

TEST_CASE("GeneralTrainer: a loss that is not finite ends the run with its step and minibatch", "[train][trainer]") {
  RolloutScene scene;
  train::GeneralTrainer trainer(scene.stepper, scene.trajectories, train::Supervised<>{}, adam, ten);
  std::fill_n(scene.data.data(), scene.data.size(), NAN);
  const Numbers before = weights_of(scene.stepper);
  CHECK_THROWS_MATCHES(trainer.run(), Error,
                       MessageMatches(ContainsSubstring("the loss is nan in step 1, minibatch 0 of the run")));
  CHECK(weights_of(scene.stepper) == before);
}

TEST_CASE("Callbacks: what they note, and when", "[train][callbacks]") {
  const ScratchFolder folder;
  RolloutScene scene;
  train::GeneralTrainer trainer(scene.stepper, scene.trajectories, train::Supervised<>{}, adam, ten);
  const Numbers start = weights_of(scene.stepper);
  train::GetNetwork<double> networks(scene.stepper.table(), 4);
  train::LossHistory losses{.every = 3};
  train::LearningRate<train::LinearDecay> rates{.schedule = {.init = 1, .end = 0, .steps = 10}, .every = 5};
  train::SaveNetwork saved{.table = scene.stepper.table(), .every = 5, .folder = folder / "networks"};
  train::Callbacks both(networks, saved);
  trainer.run(losses, rates, both);

  REQUIRE(networks.record().size() == 3);
  CHECK(networks.record()[2].first == 8);
  CHECK(networks.record()[0].second[0] == start[0]);
  CHECK(networks.record()[1].second[0] != start[0]);
  REQUIRE(losses.record.size() == 4);
  CHECK(losses.record[3].first == 9);
  CHECK(rates.record == train::Record<>{{0, 1.}, {5, .5}});
  CHECK(exists(folder / "networks/network_0.safetensors"));
  CHECK(exists(folder / "networks/network_5.safetensors"));
  CHECK(!exists(folder / "networks/network_10.safetensors"));
}

TEST_CASE("Validation: keeps the best weights and ends a run that does not improve", "[train][callbacks]") {
  RolloutScene scene;
  const train::Adam<> hasty{.schedule = {5}};  // leaps away from every minimum
  train::TrainingOptions options = ten;
  options.updates = 100;
  train::GeneralTrainer trainer(scene.stepper, scene.trajectories, train::Supervised<>{}, hasty, options);
  const train::SubStacker stacker(RolloutScene::samples, RolloutScene::frames, 2);
  train::PermutationMixer order(static_cast<std::int32_t>(stacker.size()), 1, 3, Key{});
  train::RolloutObjective held(scene.stepper, scene.trajectories, stacker, order, train::Supervised<>{});
  train::Validation validation(held, {.every = 2, .patience = 3});
  trainer.run(validation);

  CHECK(trainer.step() < 100);
  CHECK(validation.best().step == trainer.step() - 6);
  std::ranges::copy(validation.best_weights(), scene.stepper.weights());
  CHECK(held.full_value() == validation.best().value);
}

TEST_CASE("RolloutCurriculum: the rollout grows while the run goes on", "[train][callbacks]") {
  RolloutScene grown, by_hand;
  train::RolloutCurriculum curriculum{{{.first = 0, .rollout = 1}, {.first = 4, .rollout = 3}}};
  train::GeneralTrainer trainer(grown.stepper, grown.trajectories, train::Supervised<>{.rollout = 3}, adam, ten);
  train::LossHistory losses;
  trainer.run(curriculum, losses);

  train::TrainingOptions windows_of_three = ten;
  windows_of_three.window = 4;
  train::GeneralTrainer one(by_hand.stepper, by_hand.trajectories, train::Supervised<>{.rollout = 1}, adam,
                            windows_of_three);
  train::LossHistory expected;
  one.run(expected);
  for (std::size_t i = 0; i < 4; ++i) CHECK(losses.record[i] == expected.record[i]);
  CHECK(losses.record[4] != expected.record[4]);
}

TEST_CASE("RolloutObjective: noise on the initial states is the same in every run", "[train][objective]") {
  RolloutScene scene;
  train::GeneralTrainer trainer(scene.stepper, scene.trajectories, train::Supervised<>{}, adam, ten);
  const auto window = [&](long i) {
    const train::Windows<double> w = trainer.goal().windows(i);
    return Numbers(w.data, w.data + 2 * 3 * RolloutScene::N);
  };
  const Numbers clean = window(2);
  trainer.goal().set_noise({.deviation = .1, .key = make_key(9)});
  const Numbers noisy = window(2), other = window(3), again = window(2);
  CHECK(noisy == again);
  double squares = 0;
  const std::size_t states = 3 * RolloutScene::N;
  for (std::size_t j = 0; j < states; ++j) squares += (noisy[j] - clean[j]) * (noisy[j] - clean[j]);
  CHECK(std::abs(std::sqrt(squares / states) - .1) < .03);
  CHECK(std::equal(noisy.begin() + states, noisy.end(), clean.begin() + states));  // the target stays
}
