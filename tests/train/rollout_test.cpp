#include <fieldstep/train/configuration/composite.hpp>
#include <fieldstep/train/configuration/diverted_chain.hpp>
#include <fieldstep/train/configuration/mix_chain.hpp>
#include <fieldstep/train/configuration/residuum.hpp>
#include <fieldstep/train/configuration/supervised.hpp>
#include <support/allocations.hpp>
#include <support/rollout_scene.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

bool all_zero(const Numbers& numbers) {
  return std::ranges::all_of(numbers, [](double x) { return x == 0; });
}

/// Known physics whose adjoint nobody has written.
struct ForwardOnly {
  GoldenReference<double> physics;
  void forward(int samples, const double* u, double* next) const { physics.forward(samples, u, next); }
};

}  // namespace

TEST_CASE("Rollout: one tape that is computed again gives the same bits as all of them", "[train][rollout]") {
  RolloutScene scene;
  const auto same = [&](const auto& configuration) {
    CHECK(scene.evaluate(configuration, Activations::keep) == scene.evaluate(configuration, Activations::recompute));
  };
  same(train::Supervised<>{.rollout = 4});
  same(train::Supervised<>{.rollout = 4, .cut_bptt = true, .cut_bptt_every = 2});
  same(train::DivertedChain<>{.rollout = 4, .branch_steps = 2});
  same(train::MixChain<>{.pattern = "NPNP"});
  same(train::Residuum<>{.rollout = 3});
}

TEST_CASE("Rollout: a branch as long as the rollout is supervision by the reference's data", "[train][rollout]") {
  RolloutScene scene;
  for (int t = 0; t + 1 < RolloutScene::frames; ++t)
    scene.reference.forward(RolloutScene::samples, scene.windows.level(t),
                            scene.data.data() + (scene.windows.level(t + 1) - scene.data.data()));
  for (const bool cut : {false, true})
    for (const int every : {1, 2})
      for (const bool cut_div_chain : {false, true}) {
        const std::vector weights{.5, 2., 1.};
        const auto supervised = scene.evaluate(
            train::Supervised<>{.rollout = 3, .cut_bptt = cut, .cut_bptt_every = every, .time_level_weights = weights});
        const auto diverted = scene.evaluate(train::DivertedChain<>{.rollout = 3,
                                                                    .branch_steps = 3,
                                                                    .cut_bptt = cut,
                                                                    .cut_bptt_every = every,
                                                                    .cut_div_chain = cut_div_chain,
                                                                    .branch_level_weights = weights});
        CHECK(diverted.value == supervised.value);
        CHECK(diverted.gradient == supervised.gradient);
      }
}

TEST_CASE("Rollout: what is cut is exactly zero", "[train][rollout]") {
  RolloutScene scene;
  CHECK(all_zero(scene.evaluate(train::Residuum<>{.rollout = 3, .cut_prev = true, .cut_next = true}).gradient));
  CHECK(all_zero(scene.evaluate(train::Residuum<>{.rollout = 1, .cut_next = true}).gradient));
  CHECK(train::Residuum<>{.rollout = 1, .cut_next = true}.learns_nothing());
  CHECK(!train::Residuum<>{.rollout = 2, .cut_next = true}.learns_nothing());
  // Only reference steps are compared, and the state that they start from is cut.
  train::MixChain<> mix{.pattern = "NP", .cut_bptt = true, .time_level_weights = {0, 1}};
  CHECK(all_zero(scene.evaluate(mix).gradient));
  mix.cut_at_interface = false;
  CHECK(!all_zero(scene.evaluate(mix).gradient));
}

TEST_CASE("Rollout: a loss at the last level only, behind a cut, is the pushforward trick", "[train][rollout]") {
  RolloutScene scene;
  const auto pushed = scene.evaluate(train::Supervised<>{.rollout = 2, .cut_bptt = true, .time_level_weights = {0, 1}});
  CHECK(all_zero(pushed.initial));
  // By hand: one step from the network's own state.
  Arena<double> first = constant<double>(RolloutScene::samples * RolloutScene::N);
  scene.stepper.forward(RolloutScene::samples, scene.windows.level(0), first.data());
  std::copy_n(first.data(), first.size(), scene.data.data() + first.size());
  scene.windows.data = scene.data.data() + first.size();
  const auto one_step = scene.evaluate(train::Supervised<>{.rollout = 1});
  CHECK(pushed.value == one_step.value);
  CHECK(pushed.gradient == one_step.gradient);
}

TEST_CASE("Rollout: with the data as its state after every step, forcing is training on pairs", "[train][rollout]") {
  RolloutScene scene;
  const auto forced = scene.evaluate(train::Supervised<>{.rollout = 3, .forcing_every = 1});
  double value = 0;
  const double* begin = scene.windows.data;
  for (int t = 0; t < 3; ++t) {
    scene.windows.data = begin + t * RolloutScene::samples * RolloutScene::N;
    value += scene.evaluate(train::Supervised<>{}).value;
  }
  CHECK(forced.value == value);
}

TEST_CASE("Rollout: physics without an adjoint serve where no gradient goes through them", "[train][rollout]") {
  RolloutScene scene;
  ForwardOnly physics{scene.reference};
  train::NoResiduum* none = nullptr;
  train::DivertedChain<> diverted{.rollout = 3, .cut_div_chain = true};
  train::Rollout rollout(scene.stepper, &physics, none, diverted.length());
  const auto expected = scene.evaluate(diverted);
  scene.stepper.clear_gradient();
  CHECK(rollout.add_gradient(diverted, scene.windows) == expected.value);
  CHECK(scene.gradient() == expected.gradient);
  diverted.cut_div_chain = false;
  CHECK(rollout.value(diverted, scene.windows) == expected.value);
  CHECK_THROWS_MATCHES(rollout.add_gradient(diverted, scene.windows), Error,
                       MessageMatches(ContainsSubstring("goes through the reference stepper, which has no vjp")));
  const train::MixChain<> before{.pattern = "PN"};
  CHECK_NOTHROW(rollout.add_gradient(before, scene.windows));
}

TEST_CASE("Rollout: its memory is known before, and a pass allocates nothing", "[train][rollout]") {
  RolloutScene scene;
  const train::Composite both{std::tuple{train::DivertedChain<>{.rollout = 3, .branch_steps = 2}, train::Residuum<>{}},
                              std::array{1., .5}};
  train::Rollout rollout(scene.stepper, &scene.reference, &scene.residuum, both.length());
  const std::size_t all = rollout.size(scene.stepper, both.length(), Activations::keep),
                    one = rollout.size(scene.stepper, both.length(), Activations::recompute);
  CHECK(all - one == 2 * aligned_count(scene.stepper.tape_size()));
  const AllocationCounter counter;
  rollout.add_gradient(both, scene.windows);
  CHECK(counter.allocations() == 0);
}

TEST_CASE("Rollout: members that contradict each other, and windows that are too short", "[train][rollout]") {
  const auto refused = [](const auto& configuration, const char* sentence) {
    CHECK_THROWS_MATCHES(configuration.check(), Error, MessageMatches(ContainsSubstring(sentence)));
  };
  refused(train::Supervised<>{.rollout = 3, .time_level_weights = {1, 2}},
          "Supervised: found 2 time_level_weights, wanted one for each of 3 levels");
  refused(train::Supervised<>{.rollout = 0}, "Supervised: found rollout = 0");
  refused(train::Supervised<>{.cut_bptt = true, .cut_bptt_every = 0}, "Supervised: found cut_bptt_every = 0");
  refused(train::DivertedChain<>{.rollout = 2, .branch_steps = 3}, "wanted at most the rollout's 2");
  refused(train::DivertedChain<>{.branch_steps = 0}, "DivertedChain: found branch_steps = 0");
  refused(train::DivertedChain<>{.branch_level_weights = {1, 1}}, "found 2 branch_level_weights");
  refused(train::MixChain<>{.pattern = "NX"}, "found the pattern \"NX\"");
  refused(train::MixChain<>{.pattern = ""}, "found the pattern \"\"");
  refused(train::Residuum<>{.cut_bptt_every = -1}, "Residuum: found cut_bptt_every = -1");

  RolloutScene scene;
  scene.windows.snapshots = 3;
  CHECK_THROWS_MATCHES(scene.evaluate(train::Supervised<>{.rollout = 3}), Error,
                       MessageMatches(ContainsSubstring("found 3 windows of 3 states of 16 numbers")));
}
