#include <fieldstep/io/flax_msgpack.hpp>
#include <fieldstep/io/key_map.hpp>
#include <support/weight_files.hpp>

#include <catch2/catch_test_macros.hpp>
#include <numeric>
#include <string>
#include <vector>

using namespace fieldstep::io;

namespace {

struct Twin {
  const char *torch, *flax;
  Extents torch_shape, flax_shape;
};

/// spec: MPP's state dict beside the tree of jax_mpp, embed_dim 32, 12 states.
const std::vector<Twin> twins{
    {"space_bag.weight", "params/space_bag/weight", {8, 12}, {8, 12}},
    {"embed.in_proj.0.weight", "params/embed/in_proj_0/kernel", {8, 9, 4, 5}, {4, 5, 9, 8}},
    {"embed.in_proj.1.weight", "params/embed/in_proj_1/weight", {8}, {8}},
    {"embed.in_proj.1.bias", "params/embed/in_proj_1/bias", {8}, {8}},
    {"blocks.11.spatial.gamma_att", "params/blocks_11/spatial/gamma_att", {32}, {32}},
    {"blocks.0.spatial.norm1.weight", "params/blocks_0/spatial/norm1/weight", {32}, {32}},
    {"blocks.0.spatial.input_head.weight", "params/blocks_0/spatial/input_head/kernel", {96, 32, 1, 1}, {1, 1, 32, 96}},
    {"blocks.0.spatial.input_head.bias", "params/blocks_0/spatial/input_head/bias", {96}, {96}},
    {"blocks.0.temporal.output_head.weight",
     "params/blocks_0/temporal/output_head/kernel",
     {32, 31, 1, 1},
     {1, 1, 31, 32}},
    {"blocks.0.spatial.qnorm.weight", "params/blocks_0/spatial/qnorm/scale", {16}, {16}},
    {"blocks.0.spatial.knorm.bias", "params/blocks_0/spatial/knorm/bias", {16}, {16}},
    {"blocks.0.spatial.rel_pos_bias.relative_attention_bias.weight",
     "params/blocks_0/spatial/rel_pos_bias/relative_attention_bias/embedding",
     {32, 2},
     {32, 2}},
    {"blocks.0.spatial.rel_pos_bias.cpb_mlp.0.weight",
     "params/blocks_0/spatial/rel_pos_bias/cpb_mlp_0/kernel",
     {512, 1},
     {1, 512}},
    {"blocks.0.spatial.rel_pos_bias.cpb_mlp.0.bias",
     "params/blocks_0/spatial/rel_pos_bias/cpb_mlp_0/bias",
     {512},
     {512}},
    {"blocks.0.spatial.rel_pos_bias.cpb_mlp.2.weight",
     "params/blocks_0/spatial/rel_pos_bias/cpb_mlp_2/kernel",
     {2, 512},
     {512, 2}},
    {"blocks.0.spatial.mlp.fc1.weight", "params/blocks_0/spatial/mlp/fc1/kernel", {128, 32}, {32, 128}},
    {"blocks.0.spatial.mlp.fc2.weight", "params/blocks_0/spatial/mlp/fc2/kernel", {32, 128}, {128, 32}},
    {"blocks.0.spatial.mlp_norm.weight", "params/blocks_0/spatial/mlp_norm/weight", {32}, {32}},
    {"debed.out_kernel", "params/debed/out_kernel", {8, 12, 4, 5}, {12, 8, 4, 5}},
    {"debed.out_bias", "params/debed/out_bias", {12}, {12}},
    {"debed.out_proj.0.weight", "params/debed/out_proj_0/kernel", {32, 8, 2, 3}, {2, 3, 8, 32}},
    {"debed.out_proj.4.weight", "params/debed/out_proj_4/weight", {8}, {8}},
};

StoredTensor tensor(const char* name, const Extents& shape, const std::vector<float>& data) {
  return {.name = name,
          .shape = shape,
          .stride = row_major(shape),
          .data = reinterpret_cast<const std::byte*>(data.data())};
}

}  // namespace

TEST_CASE("KeyMap: names, shapes and numbers of both frameworks", "[io][key_map]") {
  for (const auto& [torch, flax, torch_shape, flax_shape] : twins) {
    CAPTURE(torch);
    std::vector<float> data(item_count(torch_shape, torch));
    std::iota(data.begin(), data.end(), 0.0f);
    const StoredTensor original = tensor(torch, torch_shape, data);
    const StoredTensor view = flax_view(original, mpp_keys);
    CHECK(view.name == flax);
    CHECK(view.shape == flax_shape);
    const StoredTensor back = torch_view(view, mpp_keys);
    CHECK(back.name == torch);
    CHECK(back.shape == torch_shape);
    CHECK(numbers<float>(back) == data);
    // What Flax stores, row-major, reads back as PyTorch's numbers.
    const std::vector<float> stored = numbers<float>(view);
    CHECK(numbers<float>(torch_view(tensor(flax, flax_shape, stored), mpp_keys)) == data);
  }
}

TEST_CASE("KeyMap: a convolution's axes go OIHW to HWIO", "[io][key_map]") {
  std::vector<float> data(2 * 3 * 2 * 2);
  std::iota(data.begin(), data.end(), 0.0f);
  const std::vector<float> flax =
      numbers<float>(flax_view(tensor("embed.in_proj.0.weight", {2, 3, 2, 2}, data), mpp_keys));
  for (std::size_t o = 0; o < 2; ++o)
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t h = 0; h < 2; ++h)
        for (std::size_t w = 0; w < 2; ++w)
          CHECK(flax[((h * 2 + w) * 3 + i) * 2 + o] == data[((o * 3 + i) * 2 + h) * 2 + w]);
}

TEST_CASE("KeyMap: what jax_mpp's own converter leaves untransposed is read as it is", "[io][key_map]") {
  const std::vector<float> data(1024, 1.0f);
  const auto read = [&](const char* name, const Extents& shape) {
    return torch_view(tensor(name, shape, data), mpp_keys);
  };
  const StoredTensor mlp = read("params/blocks_0/temporal/rel_pos_bias/cpb_mlp_2/weight", {2, 512});
  CHECK(mlp.name == "blocks.0.temporal.rel_pos_bias.cpb_mlp.2.weight");
  CHECK(mlp.shape == Extents{2, 512});
  const StoredTensor wrapped = read("params/module/debed/out_kernel", {8, 12, 2, 2});
  CHECK(wrapped.name == "debed.out_kernel");
  CHECK(wrapped.shape == Extents{8, 12, 2, 2});
  CHECK(read("params/module/blocks_0/spatial/mlp/fc1/kernel", {2, 8}).shape == Extents{8, 2});
}

TEST_CASE("KeyMap: an optimizer's state beside the parameters is left out", "[io][key_map]") {
  using namespace fieldstep::support;
  const std::string number = packed::array(raw({0x91, 1}), "float32", floats({1}));
  const std::string bytes =
      packed::map({{"step", raw({7})},
                   {"params", packed::map({{"params", packed::map({{"debed", packed::map({{"out_bias", number}})}})}})},
                   {"opt_state", packed::map({{"0", packed::map({{"mu", number}})}})}});
  TensorFile file = parse_flax_msgpack(as_bytes(bytes));
  CHECK(file.tensors.size() == 2);
  name_as_torch(file, mpp_keys);
  REQUIRE(file.tensors.size() == 1);
  CHECK(file.tensors[0].name == "debed.out_bias");
  CHECK(file.metadata.at("step") == "7");
}
