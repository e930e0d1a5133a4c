#include <fieldstep/embed/training_network.hpp>
#include <fieldstep/models/avit_training.hpp>
#include <fieldstep/models/scot_training.hpp>
#include <fieldstep/train/loss/channel_groups.hpp>
#include <fieldstep/train/loss/normalised_mse.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/optimizer/sgd.hpp>
#include <fieldstep/train/permutation.hpp>
#include <fieldstep/train/regression.hpp>
#include <fieldstep/train/trainer.hpp>
#include <support/drawn_weights.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <algorithm>
#include <array>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <numeric>
#include <string_view>
#include <type_traits>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::WithinRel;

namespace {

/// Poseidon: 7 x 9 tokens in windows of 4 x 4, padded and shifted, then 4 x 5; a ConvNeXt block on each skip.
struct Poseidon {
  struct Small : models::ScotDefaults {
    static constexpr int embed_dim = 8, window = 4, out_channels = 2;
    static constexpr std::array depths{2, 2}, heads{2, 2}, skip_blocks{1, 1};
  };
  template <class Real>
  using Training = models::ScotTraining<models::ScOT<Small, Grid<1, 28, 36, 3>, Real>>;
  using Loss = train::ChannelGroupLoss;  // without groups: a mean over the batch
  static models::ScotConditions conditions() { return {}; }
};

/// MPP: three frames of 3 x 5 tokens.
struct Mpp {
  struct Small : models::AvitDefaults {
    static constexpr int states = 6, embed_dim = 24, heads = 2, blocks = 2;
  };
  template <class Real>
  using Training = models::AvitTraining<models::AViT<Small, Grid<3, 48, 80, 2>, Real>>;
  using Loss = train::NormalisedMse;
  static constexpr std::array labels{4, 1};
  static models::AvitConditions conditions() { return {.labels = labels, .along_y = models::Boundary::periodic}; }
};

/// A family's network with drawn weights.
template <class Family, class Real>
class Network {
 public:
  using Training = typename Family::template Training<Real>;
  using Net = typename Training::Net;

  Network(int batch, const Exec& exec) : network_(batch, Activations::keep, exec) {
    std::fill_n(weights(), Net::arena_size, Real(0));  // gaps and padding, too: all bits are compared
    draw_weights(Net::table(), weights());
  }

  Real* weights() { return network_.weights(); }
  Real* gradient() { return network_.gradient(); }
  embed::TrainedParameters<Real> parameters() const { return network_.parameters(); }
  void clear_gradient() { network_.clear_gradient(); }
  void condition(int) { network_.condition(Family::conditions()); }
  void forward(int samples, const Real* x, const Real* lead_times, Real* y) {
    network_.forward(samples, x, lead_times, y);
  }
  void backward(const Real* dy) { network_.backward(dy); }

 private:
  embed::TrainingNetwork<Training> network_;
};

/// One set of drawn samples for it.
template <class Net, class Real>
class Data {
 public:
  static constexpr int samples = 8;
  static int sets() { return 1; }
  static train::SampleShape shape(int) {
    return {.input = static_size<typename Net::In>(), .channels = Net::out_fields, .points = Net::pixels};
  }

  void gather(const train::Minibatch& minibatch, Real* x, Real* lead_times, Real* target) const {
    constexpr std::size_t in = static_size<typename Net::In>(), out = static_size<typename Net::Out>();
    for (const std::int32_t sample : minibatch.samples) {
      const auto i = static_cast<std::size_t>(sample);
      x = std::copy_n(x_.data() + i * in, in, x);
      target = std::copy_n(target_.data() + i * out, out, target);
      *lead_times++ = lead_times_.data()[i];
    }
  }
  void impose_known(const train::Minibatch&, const Real*, Real*) const {}

 private:
  Arena<Real> x_ = drawn<Real>("x", samples*static_size<typename Net::In>(), .2, 1.5),
              target_ = drawn<Real>("target", samples*static_size<typename Net::Out>(), .2, 1.5),
              lead_times_ = drawn<Real>("lead time", samples, .5, .5);
};

/// What a run of the trainer leaves.
template <class Real>
struct Outcome {
  std::vector<train::Update> updates;
  embed::TrainedParameters<Real> parameters;  // with the gradient of the last update
  std::vector<Arena<Real>> moments;

  bool on_step(const train::Update& update) {
    updates.push_back(update);
    return false;
  }
  double loss(int epoch) const {
    const auto first = updates.begin() + 4 * epoch;  // minibatches of 2 from 8 samples
    return std::accumulate(first, first + 4, 0., [](double sum, const train::Update& u) { return sum + u.loss / 4; });
  }
};

/// `steps` updates from the drawn weights, each of `accumulate` minibatches of `batch` samples. The order of the
/// samples depends on none of them.
template <class Family, class Real>
Outcome<Real> train_steps(long steps, int batch, int accumulate, const auto& optimizer, const Exec& exec) {
  using Net = typename Family::template Training<Real>::Net;
  Network<Family, Real> network(batch, exec);
  Data<Net, Real> data;
  train::PermutationMixer order(data.samples, steps * accumulate, batch, make_key(7));
  train::Regression goal(network, data, order, typename Family::Loss(), batch);
  const train::ParameterGroups groups(Net::table());
  train::Trainer trainer(goal, optimizer, groups, {.accumulate = accumulate, .max_norm = .1}, exec);
  Outcome<Real> outcome{.updates = {}, .parameters = network.parameters(), .moments = {}};
  trainer.run(steps, outcome);
  trainer.visit([&](std::string_view, auto& value) {
    if constexpr (std::is_same_v<decltype(value), Arena<Real>&>) outcome.moments.push_back(value);
  });
  return outcome;
}

bool same(const Outcome<float>& a, const Outcome<float>& b) {
  const auto same_update = [](const train::Update& p, const train::Update& q) {
    return p.loss == q.loss && p.gradient_norm == q.gradient_norm;
  };
  return std::ranges::equal(a.updates, b.updates, same_update) &&
         same_bits(a.parameters.weights, b.parameters.weights) &&
         std::ranges::equal(a.moments, b.moments, same_bits<float>);
}

}  // namespace

TEMPLATE_TEST_CASE("Trainer: twenty steps leave the same bits from run to run, on one thread and on all",
                   "[train][trainer][property]", Poseidon, Mpp) {
  const auto run = [](const Exec& exec) {
    return train_steps<TestType, float>(20, 2, 1, train::AdamW<>{.schedule = {.01}}, exec);
  };
  const auto first = run(Exec());
  REQUIRE(first.updates.size() == 20);
  REQUIRE(first.moments.size() == 2);
  CHECK(first.updates[0].gradient_norm > .1);  // it was clipped
  CHECK(first.loss(4) < first.loss(0));
  CHECK(same(first, run(Exec())));
  CHECK(same(first, run(one_thread())));
}

TEMPLATE_TEST_CASE("Trainer: two minibatches an update are one of twice the size, but for the order of the sums",
                   "[train][trainer][property]", Poseidon, Mpp) {
  const auto check = []<class Real>(double bound) {
    // Not Adam, whose first step is the sign of each gradient, of those too that are nothing but rounding. The clipped
    // step is a quarter as long as the weights, so that these show its error.
    const auto run = [](int batch, int accumulate) {
      return train_steps<TestType, Real>(1, batch, accumulate, train::SGD<>{.schedule = {100}}, Exec());
    };
    const auto apart = run(2, 2), together = run(4, 1);
    const train::Update &a = apart.updates.at(0), &b = together.updates.at(0);
    Numbers mean = in_double(apart.parameters.gradient);
    for (double& g : mean) g /= 2;
    CHECK_THAT(a.loss, WithinRel(b.loss, bound));
    CHECK_THAT(a.gradient_norm, WithinRel(b.gradient_norm, bound));
    CHECK(relative_l2(mean, in_double(together.parameters.gradient)) < bound);
    CHECK(relative_l2(in_double(apart.parameters.weights), in_double(together.parameters.weights)) < bound);
  };
  check.template operator()<double>(1e-12);
  check.template operator()<float>(rounding<float>);
}
