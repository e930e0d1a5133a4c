#include <fieldstep/models/residual_conv_net.hpp>
#include <support/stepper_gradient.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using models::ResidualConvNet;

namespace {

struct Small : models::ResidualConvNetDefaults {
  static constexpr int hidden = 6, blocks = 3;
};
template <class Real>
using Periodic = ResidualConvNet<Small, Shape<4, 5>, Real>;

struct Replicated : Small {
  static constexpr int channels = 17, blocks = 2, kernel = 2;
  static constexpr ops::Padding padding = ops::Padding::replicate;
  using Activation = ops::Tanh;
};
template <class Real>
using ReplicatedTanh = ResidualConvNet<Replicated, Shape<5>, Real>;

struct Zero : Small {
  static constexpr int channels = 2, blocks = 1;
  static constexpr ops::Padding padding = ops::Padding::zero;
  using Activation = ops::Gelu;
};
template <class Real>
using ZeroGelu = ResidualConvNet<Zero, Shape<2, 3, 2>, Real>;

}  // namespace

TEST_CASE("ResidualConvNet: gradients, bits", "[models][residual_conv_net][gradient]") {
  check_stepper<Periodic>(1e-6, 1e-7);
  check_stepper<ReplicatedTanh>();
  check_stepper<ZeroGelu>();
}

TEST_CASE("ResidualConvNet: parameters are named and shaped as pdequinox does; start values of its keys",
          "[models][residual_conv_net]") {
  using Net = ResidualConvNet<Small, Shape<8, 8>>;
  const ParamTable table = Net::table();
  REQUIRE(table.size() == 16);
  CHECK(table[0].path.view() == "lifting.weight");
  CHECK(table[2].path.view() == "blocks.0.conv_1.weight");
  CHECK(table[13].path.view() == "blocks.2.conv_2.bias");
  CHECK(table[15].path.view() == "projection.bias");
  CHECK(std::vector(table[2].shape().begin(), table[2].shape().end()) == std::vector{6, 6, 3, 3});

  std::vector<float> net(Net::arena_size), layer(Net::arena_size);
  Net::initialise(net.data(), make_key(1));
  const auto check_layer = [&](std::size_t first, Key key) {
    initialise_layer_equinox(table, first, layer.data(), key);
    for (std::size_t i = first; i < first + 2; ++i)
      for (std::size_t j = table[i].offset; j < table[i].offset + table[i].size; ++j) CHECK(net[j] == layer[j]);
  };
  const Key rest = split(make_key(1), 1, 2), second = split(split(rest, 1, 2), 0, 2);
  check_layer(0, split(make_key(1), 0, 2));
  check_layer(2, split(split(rest, 0, 2), 0, 3));
  check_layer(8, split(second, 1, 3));
  check_layer(14, split(split(split(rest, 1, 2), 1, 2), 1, 2));
}
