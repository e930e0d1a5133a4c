#include <fieldstep/train/loss/channel_groups.hpp>
#include <fieldstep/train/loss/normalised_mse.hpp>
#include <fieldstep/train/permutation.hpp>
#include <fieldstep/train/set_sampler.hpp>
#include <support/gradient.hpp>
#include <support/linear_network.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::WithinRel;

namespace {

using Network = LinearNetwork<double>;
using Data = LinearData<double>;

}  // namespace

TEST_CASE("Regression: the gradient of a minibatch agrees with central differences", "[train][regression][gradient]") {
  Network network(Data::points);
  Data data;
  train::SetSampler order(Data::sizes, 3, 100, make_key(4));
  train::Regression goal(network, data, order, train::NormalisedMse{}, 3);
  for (const long i : {0L, 1L, 2L}) {  // of both sets
    goal.clear_gradient();
    const double loss = goal.add_gradient(i);
    CHECK(goal.evaluate(order(i)) == loss);
    const Arena<double> gradient = constant<double>(Network::arena_size, 0);
    std::copy_n(goal.gradient(), Network::arena_size, gradient.data());
    for (const ParamEntry& entry : Network::table()) {
      if (!entry.init.trained) continue;
      for (std::size_t j = 0; j < entry.stored; ++j) {
        double& w = network.weights()[entry.offset + j];
        const double before = w, h = 1e-5;
        w = before + h;
        const double above = goal.evaluate(order(i));
        w = before - h;
        const double below = goal.evaluate(order(i));
        w = before;
        CHECK(std::abs((above - below) / (2 * h) - gradient.data()[entry.offset + j]) < 1e-8);
      }
    }
  }
}

TEST_CASE("Regression: what is known adds nothing to loss and gradient", "[train][regression]") {
  Network network(Data::points);
  Data data;
  train::SetSampler order(Data::sizes, 2, 100, make_key(4));
  train::Regression goal(network, data, order, train::ChannelGroupLoss{.p = 1}, 2);
  long i = 0;
  while (order(i).set != 1) ++i;
  goal.add_gradient(i);
  const auto dw = bind<Network::Params<double>>(goal.gradient());
  CHECK(dw.bias(0) == 0);
  CHECK(dw.weight(1, 0) == 0);
  CHECK(dw.bias(1) != 0);
  for (int p = 0; p < Data::points; ++p) CHECK(goal.forecast()[p] == goal.target()[p]);
}

TEST_CASE("Regression: prepares the network where weights or set have changed, and not else", "[train][regression]") {
  Network network(Data::points);
  Data data;
  train::PermutationMixer order(Data::sizes[0], 10, 3, make_key(1));
  train::Regression goal(network, data, order, train::NormalisedMse{}, 3);
  goal.add_gradient(0);
  goal.add_gradient(1);
  CHECK(network.conditioned == std::vector{0});
  goal.weights_changed();
  goal.add_gradient(2);
  train::Minibatch other = order(3);
  other.set = 1;
  goal.evaluate(other);
  goal.add_gradient(3);
  CHECK(network.conditioned == std::vector{0, 0, 1, 0});
}
