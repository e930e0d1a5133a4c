#include <fieldstep/core/error.hpp>
#include <fieldstep/io/flax_msgpack.hpp>
#include <fieldstep/io/key_map.hpp>
#include <support/weight_files.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

using namespace fieldstep::io;

namespace {

struct Twin {
  std::string torch, flax;
  Extents torch_shape, flax_shape;
};

/// spec: MPP's state dict beside the tree of jax_mpp, embed_dim 32, 12 states.
const std::vector<Twin> mpp_twins{
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

/// Poseidon's state dict beside the tree of jax_poseidon: two stages of three and of two blocks, with what only some
/// configurations have.
const std::vector<Twin> scot_twins{
    {"embeddings.position_embeddings", "params/embeddings/position_embeddings", {1, 16, 8}, {1, 16, 8}},
    {"embeddings.mask_token", "params/embeddings/mask_token", {1, 1, 8}, {1, 1, 8}},
    {"embeddings.norm.weight", "params/embeddings/norm/LayerNorm_0/scale", {8}, {8}},
    {"embeddings.norm.bias", "params/embeddings/norm/LayerNorm_0/bias", {8}, {8}},
    {"encoder.layers.0.downsample.norm.weight", "params/encoder/layer_0/downsample/norm/LayerNorm_0/scale", {16}, {16}},
    {"encoder.layers.0.blocks.1.layernorm_before.weight",
     "params/encoder/layer_0/block_1/layernorm_before/LayerNorm_0/scale",
     {8},
     {8}},
    {"decoder.layers.0.blocks.0.layernorm_after.bias",
     "params/decoder/layer_1/block_1/layernorm_after/LayerNorm_0/bias",
     {16},
     {16}},
    {"decoder.layers.1.blocks.0.layernorm_after.weight.weight",
     "params/decoder/layer_0/block_2/layernorm_after/weight/kernel",
     {8, 1},
     {1, 8}},
    {"decoder.layers.1.blocks.1.layernorm_after.bias.bias",
     "params/decoder/layer_0/block_1/layernorm_after/bias/bias",
     {8},
     {8}},
    {"decoder.layers.0.upsample.mixup.weight", "params/decoder/layer_1/upsample/mixup/kernel", {8, 8}, {8, 8}},
    {"residual_blocks.0.1.conv1.weight", "params/residual_block_0/block_1/conv1/kernel", {8, 4, 3, 3}, {3, 3, 4, 8}},
    {"residual_blocks.0.1.conv1.bias", "params/residual_block_0/block_1/conv1/bias", {8}, {8}},
    {"residual_blocks.0.1.bn2.weight", "params/residual_block_0/block_1/bn2/scale", {8}, {8}},
    {"residual_blocks.0.1.bn2.bias", "params/residual_block_0/block_1/bn2/bias", {8}, {8}},
    {"residual_blocks.0.1.bn2.running_mean", "batch_stats/residual_block_0/block_1/bn2/mean", {8}, {8}},
    {"residual_blocks.0.1.bn2.running_var", "batch_stats/residual_block_0/block_1/bn2/var", {8}, {8}},
};

StoredTensor tensor(const std::string& name, const Extents& shape, const std::vector<float>& data) {
  return {.name = name,
          .shape = shape,
          .stride = row_major(shape),
          .data = reinterpret_cast<const std::byte*>(data.data())};
}

/// Both views of one tensor, and the way back, by name, shape and number.
void check_twin(const KeyMap& keys, const Twin& twin) {
  const auto& [torch, flax, torch_shape, flax_shape] = twin;
  CAPTURE(torch);
  std::vector<float> data(item_count(torch_shape, torch));
  std::iota(data.begin(), data.end(), 0.0f);
  const StoredTensor view = keys.flax_view(tensor(torch, torch_shape, data));
  CHECK(view.name == flax);
  CHECK(view.shape == flax_shape);
  const StoredTensor back = keys.torch_view(view);
  CHECK(back.name == torch);
  CHECK(back.shape == torch_shape);
  CHECK(numbers<float>(back) == data);
  // What Flax stores, row-major, reads back as PyTorch's numbers.
  const std::vector<float> stored = numbers<float>(view);
  CHECK(numbers<float>(keys.torch_view(tensor(flax, flax_shape, stored))) == data);
}

/// A map told by these names.
KeyMap map_of(std::initializer_list<std::string_view> names) { return KeyMap(std::span(names.begin(), names.size())); }
const KeyMap mpp_keys = map_of({});

}  // namespace

TEST_CASE("KeyMap: names, shapes and numbers of both frameworks, AViT", "[io][key_map]") {
  for (const Twin& twin : mpp_twins) check_twin(mpp_keys, twin);
}

TEST_CASE("KeyMap: names, shapes and numbers of both frameworks, ScOT", "[io][key_map]") {
  // Two stages of different depth: the decoder's first stage is the encoder's second, and Flax calls it that.
  const KeyMap keys =
      map_of({"encoder.layers.0.blocks.0.layernorm_after.bias", "encoder.layers.0.blocks.2.layernorm_after.bias",
              "encoder.layers.1.blocks.1.layernorm_after.bias"});
  for (const Twin& twin : scot_twins) check_twin(keys, twin);
}

TEST_CASE("KeyMap: every tensor of the golden Flax tree has the name and shape that its list says",
          "[io][key_map][golden]") {
  const std::filesystem::path manifest = std::filesystem::path(FIELDSTEP_GOLDEN_DIR) / "poseidon/hf_tiny.json";
  const auto twins = nlohmann::json::parse(std::ifstream(manifest)).at("flax_params");
  REQUIRE(twins.size() == 844);
  std::vector<std::string> torch_names, flax_names;
  for (const auto& twin : twins) {
    torch_names.push_back(twin.at("torch"));
    flax_names.push_back(twin.at("flax"));
  }
  const KeyMap from_torch(std::vector<std::string_view>(torch_names.begin(), torch_names.end()));
  const KeyMap from_flax(std::vector<std::string_view>(flax_names.begin(), flax_names.end()));
  for (const auto& twin : twins)
    for (const KeyMap* keys : {&from_torch, &from_flax})
      check_twin(*keys, {twin.at("torch"), twin.at("flax"), twin.at("torch_shape"), twin.at("shape")});
}

TEST_CASE("KeyMap: ScOT's transposed convolution is turned round in space", "[io][key_map]") {
  const KeyMap keys = map_of({"encoder.layers.0.blocks.0.output.dense.bias"});
  std::vector<float> data(2 * 3 * 4 * 4);
  std::iota(data.begin(), data.end(), 0.0f);
  const std::vector<float> flax =
      numbers<float>(keys.flax_view(tensor("patch_recovery.projection.weight", {2, 3, 4, 4}, data)));
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t o = 0; o < 3; ++o)
      for (std::size_t h = 0; h < 4; ++h)
        for (std::size_t w = 0; w < 4; ++w)
          CHECK(flax[((h * 4 + w) * 2 + i) * 3 + o] == data[((i * 3 + o) * 4 + 3 - h) * 4 + 3 - w]);
}

TEST_CASE("KeyMap: what has no counterpart is refused", "[io][key_map][hostile]") {
  using Catch::Matchers::ContainsSubstring;
  using Catch::Matchers::MessageMatches;
  const KeyMap keys = map_of({"params/encoder/layer_0/block_1/output/dense/bias"});
  const std::vector<float> data(8, 1.0f);
  const auto refuses = [&](const char* name, const Extents& shape, const char* words) {
    CHECK_THROWS_MATCHES(keys.torch_view(tensor(name, shape, data)), fieldstep::Error,
                         MessageMatches(ContainsSubstring(words)));
  };
  refuses("params/encoder/layer_0/block_0/output/dense/kernel", {2, 2, 2}, "of shape (2, 2, 2) has no counterpart");
  refuses("params/residual_block_0/block_0/norm/scale", {8}, "has no counterpart");
  refuses("params/decoder/layer_1/block_0/output/dense/bias", {8}, "the encoder has 1 stages");
  refuses("params/decoder/layer_0/block_2/output/dense/bias", {8}, "that stage of the encoder has 2 blocks");
  refuses("params/decoder/layer_99999999999999999999/upsample/mixup/kernel", {2, 4}, "the encoder has 1 stages");
  CHECK_THROWS_MATCHES(map_of({"encoder.layers.4096.blocks.0.x"}), fieldstep::Error,
                       MessageMatches(ContainsSubstring("no network is that deep")));
}

TEST_CASE("KeyMap: a convolution's axes go OIHW to HWIO", "[io][key_map]") {
  std::vector<float> data(2 * 3 * 2 * 2);
  std::iota(data.begin(), data.end(), 0.0f);
  const std::vector<float> flax =
      numbers<float>(mpp_keys.flax_view(tensor("embed.in_proj.0.weight", {2, 3, 2, 2}, data)));
  for (std::size_t o = 0; o < 2; ++o)
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t h = 0; h < 2; ++h)
        for (std::size_t w = 0; w < 2; ++w)
          CHECK(flax[((h * 2 + w) * 3 + i) * 2 + o] == data[((o * 3 + i) * 2 + h) * 2 + w]);
}

TEST_CASE("KeyMap: what jax_mpp's own converter leaves untransposed is read as it is", "[io][key_map]") {
  const std::vector<float> data(1024, 1.0f);
  const auto read = [&](const char* name, const Extents& shape) {
    return mpp_keys.torch_view(tensor(name, shape, data));
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
  name_as_torch(file);
  REQUIRE(file.tensors.size() == 1);
  CHECK(file.tensors[0].name == "debed.out_bias");
  CHECK(file.metadata.at("step") == "7");
}
