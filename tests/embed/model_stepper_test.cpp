#include <fieldstep/embed/model_stepper.hpp>
#include <fieldstep/models/avit_training.hpp>
#include <fieldstep/models/scot_training.hpp>
#include <fieldstep/train/configuration/supervised.hpp>
#include <fieldstep/train/rollout.hpp>
#include <support/drawn_weights.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <array>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

struct Poseidon {
  struct Small : models::ScotDefaults {
    static constexpr int embed_dim = 8, window = 4, out_channels = 2;
    static constexpr std::array depths{2, 2}, heads{2, 2}, skip_blocks{1, 1};
  };
  using Training = models::ScotTraining<models::ScOT<Small, Grid<1, 16, 16, 2>, double>>;
  static models::ScotConditions conditions() { return {}; }
};

struct Mpp {
  struct Small : models::AvitDefaults {
    static constexpr int states = 6, embed_dim = 24, heads = 2, blocks = 2;
  };
  using Training = models::AvitTraining<models::AViT<Small, Grid<3, 32, 48, 2>, double>>;
  static constexpr std::array labels{4, 1};
  static models::AvitConditions conditions() { return {.labels = labels, .along_y = models::Boundary::periodic}; }
};

}  // namespace

TEMPLATE_TEST_CASE("ModelStepper: gradients of a rollout agree with central differences", "[embed][stepper][gradient]",
                   Poseidon, Mpp) {
  using Stepper = embed::ModelStepper<typename TestType::Training>;
  static_assert(train::Stepper<Stepper>);
  constexpr int samples = 2;
  Stepper stepper(samples, TestType::conditions(), .5);
  draw_weights(stepper.table(), stepper.weights());
  const std::size_t count = samples * stepper.state_size();
  const Arena<double> data = drawn<double>("stepper/data", 3 * count);
  const train::Windows<double> windows{data.data(), 3, samples, stepper.state_size()};
  const train::Supervised<> configuration{.rollout = 2};
  train::NoReference* none = nullptr;
  train::NoResiduum* neither = nullptr;
  train::Rollout rollout(stepper, none, neither, configuration.length());
  Numbers initial(count, 0.);
  rollout.add_gradient(configuration, windows, initial.data());

  const auto difference = [&](double& number) {
    const double before = number, step = 1e-5 * std::max(1., std::abs(before));
    const auto value = [&](double x) {
      number = x;
      stepper.weights_changed();
      return rollout.value(configuration, windows);
    };
    const double slope = (value(before + step) - value(before - step)) / (2 * step);
    value(before);
    return slope;
  };
  for (const std::size_t i : {std::size_t{3}, count / 3, count / 2 + 5, count - 1})
    CHECK_THAT(difference(data.data()[i]), WithinRel(initial[i], 1e-5) || WithinAbs(initial[i], 1e-8));
  for (const ParamEntry& entry : stepper.table()) {
    if (!entry.init.trained || entry.stored < 2) continue;
    const std::size_t j = entry.offset + 1;
    const double g = stepper.gradient()[j];
    CAPTURE(entry.path.view());
    if (std::abs(g) > 1e-5) CHECK_THAT(difference(stepper.weights()[j]), WithinRel(g, 1e-5) || WithinAbs(g, 1e-8));
  }
}

TEMPLATE_TEST_CASE("ModelStepper: the same bits for one thread and for all", "[embed][stepper][threads]", Poseidon,
                   Mpp) {
  const auto run = [](const Exec& exec) {
    embed::ModelStepper<typename TestType::Training> stepper(2, TestType::conditions(), 1, Activations::keep, exec);
    std::fill_n(stepper.weights(), TestType::Training::Net::arena_size, 0.);
    draw_weights(stepper.table(), stepper.weights());
    const std::size_t count = 2 * stepper.state_size();
    const Arena<double> u = drawn<double>("stepper/u", count), g = drawn<double>("stepper/g", count),
                        result = constant<double>(2 * count), tape = constant<double>(stepper.tape_size());
    stepper.forward(2, u.data(), result.data(), tape.data());
    stepper.backward(2, u.data(), tape.data(), g.data(), result.data() + count);
    return result;
  };
  CHECK(same_bits(run(one_thread()), run(Exec())));
}
