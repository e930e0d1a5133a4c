#include <fieldstep/models/tidhy_init.hpp>
#include <fieldstep/models/tidhy_objective.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/sequence_trainer.hpp>
#include <fieldstep/train/side_by_side.hpp>
#include <support/numbers.hpp>
#include <support/scratch_folder.hpp>
#include <support/threads.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <optional>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;
using namespace fieldstep::models;
using namespace fieldstep::train;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::WithinRel;

namespace {

struct Small : TidhyDefaults {
  static constexpr int r_dim = 4, r2_dim = 3, mix_dim = 3, input_dim = 6, hyper_hid_dim = 8;
};
struct Wider : Small {
  static constexpr int hyper_hid_dim = 16;
};
struct Counts : Small {
  static constexpr auto loss_type = TidhyLoss::poisson;
};

constexpr int sequences = 7, frames = 6, batch = 3;

template <class Net>
struct Scene {
  using Real = typename Net::Real;
  using Goal = TidhyObjective<Net>;

  Arena<Real> X = drawn<Real>("sequences/X", static_cast<std::size_t>(sequences* frames* Net::D), .5, .45);
  Goal goal;
  SequenceTrainer<Goal, AdamW<>> trainer;

  explicit Scene(const TidhyTrainingOptions& options = few(), std::uint64_t seed = 3, const Exec& exec = {})
      : goal(sequences, frames, X.data(), in_storage_order(sequences, batch), sequences, options, exec),
        trainer(goal, AdamW<>{.schedule = {1e-2}}, ParameterGroups(Net::table()), {}, exec) {
    initialise_tidhy<Net>(goal.weights(), make_key(seed));
  }
  static TidhyTrainingOptions few() {
    TidhyTrainingOptions options;
    options.inference.max_iter = 12, options.inference.tol = 1e-3;
    return options;
  }
  Sequences<Real> all() const { return {sequences, frames, X.data()}; }
  std::vector<Real> weights() { return {goal.weights(), goal.weights() + Net::arena_size}; }
};

}  // namespace

TEST_CASE("SequenceTrainer: epochs are whole minibatches in storage order", "[train][sequences]") {
  using Net = Tidhy<Small, double>;
  Scene<Net> epochs, steps;
  const SequenceHistory history =
      epochs.trainer.train_model(epochs.all(), 2, {.batch_size = batch, .val_data = epochs.all()});
  REQUIRE(history.loss.size() == 2);
  CHECK(history.val_loss.size() == 2);
  CHECK(epochs.trainer.step() == 4);  // 7 sequences are two minibatches of 3
  double loss = 0;
  for (int epoch = 0; epoch < 2; ++epoch) {
    loss = 0;
    for (int i = 0; i < 2; ++i) {
      const Sequences<double> three{batch, frames, steps.X.data() + i * batch * frames * Net::D};
      const SequenceMetrics metrics = steps.trainer.train_step(three);
      CHECK_THAT(metrics.loss,
                 WithinRel(metrics.spatial_loss_rhat + metrics.spatial_loss_rbar + metrics.temp_loss, 1e-12));
      loss += metrics.loss / 2;
    }
    CHECK_THAT(history.loss[static_cast<std::size_t>(epoch)], WithinRel(loss, 1e-14));
  }
  CHECK(epochs.weights() == steps.weights());
  CHECK(history.val_loss[1] == epochs.trainer.evaluate_batch(epochs.all()).loss);
  CHECK(history.val_loss[1] < history.val_loss[0]);
}

TEST_CASE("SequenceTrainer: a checkpoint goes on bit for bit, latents that are carried included",
          "[train][sequences]") {
  using Net = Tidhy<Small, float>;
  TidhyTrainingOptions options = Scene<Net>::few();
  options.carry_state = true, options.grad_norm = true, options.inference.r2_init_std = .1;
  const ScratchFolder scratch;
  const auto path = scratch / "run.safetensors";
  const auto train_to = [&](Scene<Net>& scene, long epochs) {
    scene.trainer.train_model(scene.all(), epochs, {.batch_size = batch});
  };
  Scene<Net> whole(options), first(options), second(options, 4);
  train_to(whole, 5);
  train_to(first, 2);
  first.trainer.checkpoint_model(path);
  CHECK(second.trainer.load_checkpoint(path) == 2);
  train_to(second, 5);
  CHECK(second.weights() == whole.weights());
  CHECK(second.goal.r_state() == whole.goal.r_state());
  CHECK(second.goal.balance() == whole.goal.balance());

  whole.trainer.save_model(path);
  Scene<Net> loaded(options, 4);
  loaded.trainer.load_model(path);
  CHECK(loaded.weights() == whole.weights());
  CHECK(loaded.trainer.step() == 0);
}

TEST_CASE("SequenceTrainer: what does not fit is refused and changes nothing", "[train][sequences]") {
  const auto says = [](const char* sentence) { return MessageMatches(ContainsSubstring(sentence)); };
  const ScratchFolder scratch;
  const auto path = scratch / "run.safetensors";
  Scene<Tidhy<Small, float>> scene;
  scene.trainer.checkpoint_model(path);
  Scene<Tidhy<Wider, float>> wider;
  const auto before = wider.weights();
  CHECK_THROWS_MATCHES(
      wider.trainer.load_checkpoint(path), Error,
      says("network of the checkpoint is 'R 4, Q 3, M 3, D 6, H 8, MSE', wanted 'R 4, Q 3, M 3, D 6, H 16"));
  Scene<Tidhy<Counts, float>> counts;
  CHECK_THROWS_MATCHES(counts.trainer.load_checkpoint(path), Error, says("H 8, MSE', wanted"));
  CHECK(wider.weights() == before);
  CHECK_THROWS_MATCHES(scene.trainer.load_checkpoint(scratch / "none"), Error, says("none"));
  CHECK_THROWS_MATCHES(scene.trainer.train_epoch(scene.all(), 8), Error, says("found batches of 8"));
  CHECK_THROWS_MATCHES(scene.trainer.train_step({sequences, frames - 1, scene.X.data()}), Error,
                       says("found sequences of 5 frames, wanted 6"));
}

TEST_CASE("side_by_side: trainings from several seeds have the bits that each has alone", "[train][sequences]") {
  using Net = Tidhy<Small, float>;
  constexpr int seeds = 5;
  std::vector<std::vector<float>> together(seeds);
  side_by_side(Exec(), seeds, [&](int k, const Exec& exec) {
    Scene<Net> scene(Scene<Net>::few(), static_cast<std::uint64_t>(k), exec);
    scene.trainer.train_model(scene.all(), 3, {.batch_size = batch});
    together[static_cast<std::size_t>(k)] = scene.weights();
  });
  for (int k = 0; k < seeds; ++k) {
    Scene<Net> scene(Scene<Net>::few(), static_cast<std::uint64_t>(k));
    scene.trainer.train_model(scene.all(), 3, {.batch_size = batch});
    CHECK(together[static_cast<std::size_t>(k)] == scene.weights());
  }
  CHECK_THROWS_MATCHES(side_by_side(Exec(), 4,
                                    [](int k, const Exec&) {
                                      if (k > 1) fail("seed ", k);
                                    }),
                       Error, MessageMatches(ContainsSubstring("seed 2")));
}

TEST_CASE("TidhyObjective: parts of a minibatch have its means", "[models][tidhy]") {
  using Net = Tidhy<Small, double>;
  TidhyTrainingOptions options = Scene<Net>::few();
  options.inference.tol = 0;
  Scene<Net> whole(options);
  options.inference.mean_over = 6;
  Scene<Net> parts(options);
  const auto six = in_storage_order(sequences, 6), three = in_storage_order(sequences, 3);
  whole.goal.read(sequences, whole.X.data(), six), parts.goal.read(sequences, parts.X.data(), three);
  whole.goal.weights_changed(), parts.goal.weights_changed();
  whole.goal.add_gradient(0), parts.goal.add_gradient(0), parts.goal.add_gradient(1);
  for (std::size_t i = 0; i < Net::arena_size; ++i)
    CHECK_THAT(parts.goal.gradient()[i] / 2, Catch::Matchers::WithinAbs(whole.goal.gradient()[i], 1e-12));
}
