#include <fieldstep/core/init_equinox.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/core/tensor.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <vector>

using namespace fieldstep;

namespace {

template <class R>
struct Layer {
  Tensor<R, 1, 1, 2> weight{nullptr};
  Tensor<R, 1, 1> bias{nullptr};
  using hana_accessors_impl =
      Fields<Field<"weight", &Layer::weight, init_weight(2)>, Field<"bias", &Layer::bias, init_bias(2)>>;
};
template <class R>
struct Stack {
  std::array<Layer<R>, 2> layers;
  using hana_accessors_impl = Fields<Field<"layers", &Stack::layers>>;
};
constexpr auto layer_table = make_param_table<Layer<float>>();
constexpr auto stack_table = make_param_table<Stack<float>>();

}  // namespace

// equinox.nn.Conv1d(1, 1, 2, key=PRNGKey(73)), weights stored in trainax' goldens quickstart_readme and _modern.
TEST_CASE("initialise_layer_equinox: the original's weights, bit for bit", "[core][init_equinox][golden]") {
  std::vector<float> arena(arena_count<Layer<float>>());
  CHECK(initialise_layer_equinox(layer_table, 0, arena.data(), make_key(73), RandomLayout::legacy) == 2);
  CHECK(arena[0] == -0.34674766659736633f);
  CHECK(arena[1] == 0.5719048976898193f);
  initialise_layer_equinox(layer_table, 0, arena.data(), make_key(73));
  CHECK(arena[0] == 0.5194204449653625f);
  CHECK(arena[1] == -0.6279271841049194f);
}

TEST_CASE("initialise_layers_equinox: every layer from a key of its own", "[core][init_equinox]") {
  for (const RandomLayout layout : {RandomLayout::legacy, RandomLayout::partitionable}) {
    std::vector<float> all(arena_count<Stack<float>>()), one(arena_count<Layer<float>>());
    initialise_layers_equinox(stack_table, 2, all.data(), make_key(5), layout);
    for (std::size_t l = 0; l < 2; ++l) {
      initialise_layer_equinox(layer_table, 0, one.data(), split(make_key(5), l, 2, layout), layout);
      for (std::size_t i = 0; i < 2; ++i)
        for (std::size_t j = 0; j < layer_table[i].size; ++j)
          CHECK(all[stack_table[2 * l + i].offset + j] == one[layer_table[i].offset + j]);
    }
  }
}
