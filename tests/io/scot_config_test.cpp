#include <fieldstep/core/error.hpp>
#include <fieldstep/io/open_tensor_file.hpp>
#include <fieldstep/io/scot_config.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <string>

using namespace fieldstep;
using Catch::Matchers::ContainsSubstring;

namespace {

using Sizes = std::vector<std::int64_t>;

std::string complaint(std::string_view text) {
  try {
    io::parse_scot_config(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "read without complaint";
}

/// The weights of Poseidon-T as its config.json describes them.
constexpr std::string_view poseidon_t = R"({"architectures": ["SwinForPDE"], "depths": [4, 4, 4, 4], "embed_dim": 48,
  "image_size": 128, "num_channels": 4, "num_heads": [3, 6, 12, 24], "num_out_channels": 4, "patch_size": 4,
  "skip_connections": [2, 2, 2, 0], "use_conditioning": true, "window_size": 16, "torch_dtype": "float32"})";

}  // namespace

TEST_CASE("ScotConfig: the goldens' folders, and their weights are of the same network", "[io][scot_config][golden]") {
  for (const char* name : {"hf_tiny", "hf_tiny_bin"}) {
    const io::TensorFile file = io::open_tensor_file(std::filesystem::path(FIELDSTEP_GOLDEN_DIR) / "poseidon" / name);
    const io::ScotConfig config = io::parse_scot_config(file.metadata.at("config"));
    CHECK(config.embed_dim == 4);
    CHECK(config.channel_slice_list_normalized_loss == Sizes{0, 1, 3, 4});
    CHECK(io::recognise(config).text() == io::recognise(io::named_shapes(file)).text());
  }
  const io::TensorFile tiny = io::open_tensor_file(std::filesystem::path(FIELDSTEP_GOLDEN_DIR) / "poseidon/hf_tiny");
  CHECK(io::recognise(io::named_shapes(tiny)).text() ==
        "Poseidon ScOT (embed_dim 4, depths 4,4,4,4, heads 1,1,2,4, skip blocks 2,2,2,0, patch 4, channels 4 -> 4)");
}

TEST_CASE("ScotConfig: what is absent has the original's default, unknown keys do not matter", "[io][scot_config]") {
  const io::ScotConfig config =
      io::parse_scot_config(R"({"skip_connections": [true, 2, false, 0], "invented": {"depths": "x", "list": [[1]]},
                                "channel_slice_list_normalized_loss": null, "learn_residual": true, "mlp_ratio": 2})");
  CHECK(config.image_size == 224);
  CHECK(config.depths == Sizes{2, 2, 6, 2});
  CHECK(config.skip_connections == Sizes{1, 2, 0, 0});
  CHECK(config.channel_slice_list_normalized_loss.empty());
  CHECK(!config.learn_residual);  // needs conditioning
  CHECK(config.mlp_ratio == 2);
  CHECK(config.drop_path_rate == .1);
}

TEST_CASE("ScotConfig: published variants are called by their name, whatever their channels", "[io][scot_config]") {
  CHECK(io::recognise(io::parse_scot_config(poseidon_t)).variant == "T");
  std::string five(poseidon_t);
  five.replace(five.find("\"num_channels\": 4"), 17, "\"num_channels\": 5");
  CHECK(io::recognise(io::parse_scot_config(five)).variant == "T");
  std::string deep(poseidon_t);
  deep.replace(deep.find("4, 4, 4, 4"), 10, "8, 8, 8, 8");
  CHECK(io::recognise(io::parse_scot_config(deep)).variant == "S");
  deep.replace(deep.find("2, 2, 2, 0"), 10, "2, 2, 2, 2");
  CHECK(io::recognise(io::parse_scot_config(deep)).variant == "");
}

TEST_CASE("ScotConfig: what changes the shapes makes another network, as the shapes themselves tell",
          "[io][scot_config]") {
  using Shapes = std::vector<io::NamedShape>;
  const Shapes shapes{{"embeddings.mask_token", {1, 1, 8}},
                      {"embeddings.patch_embeddings.projection.weight", {8, 3, 4, 4}},
                      {"embeddings.norm.weight.weight", {8, 1}},
                      {"encoder.layers.0.blocks.0.attention.self.logit_scale", {2, 1, 1}},
                      {"encoder.layers.0.blocks.0.attention.self.query.weight", {8, 8}},
                      {"encoder.layers.0.blocks.0.intermediate.dense.weight", {18, 8}},
                      {"patch_recovery.projection.weight", {8, 1, 4, 4}}};
  CHECK(io::recognise(shapes).text() ==
        "Poseidon ScOT (embed_dim 8, depths 1, heads 2, skip blocks 0, patch 4, channels 3 -> 1, no qkv bias, mask "
        "token, mlp ratio 2.25)");
  io::Recognised described = io::recognise(io::parse_scot_config(
      R"({"embed_dim": 8, "depths": [1], "num_heads": [2], "skip_connections": [0], "qkv_bias": false,
          "mlp_ratio": 2.3, "use_conditioning": true})"));
  CHECK(described.mlp_ratio == 2.25);  // 18 hidden channels
  described.mask_token = true;         // no part of a configuration
  CHECK(described.text() == io::recognise(shapes).text());
}

TEST_CASE("ScotConfig: wrong types and impossible values get a sentence", "[io][scot_config][hostile]") {
  CHECK_THAT(complaint(""), ContainsSubstring("is not JSON"));
  CHECK_THAT(complaint("[1]"), ContainsSubstring("is no JSON object"));
  CHECK_THAT(complaint("7"), ContainsSubstring("is no JSON object"));
  CHECK_THAT(complaint(R"({"embed_dim": "48"})"), ContainsSubstring("embed_dim: found '48', wanted a whole number"));
  CHECK_THAT(complaint(R"({"embed_dim": 48.5})"), ContainsSubstring("embed_dim: found 48.5"));
  CHECK_THAT(complaint(R"({"embed_dim": -48})"), ContainsSubstring("embed_dim: found -48"));
  CHECK_THAT(complaint(R"({"embed_dim": 0})"), ContainsSubstring("embed_dim: found 0, wanted at least 1"));
  CHECK_THAT(complaint(R"({"embed_dim": 18446744073709551615})"), ContainsSubstring("whole number up to"));
  CHECK_THAT(complaint(R"({"embed_dim": [48]})"), ContainsSubstring("embed_dim: found a list, wanted a whole number"));
  CHECK_THAT(complaint(R"({"embed_dim": null})"), ContainsSubstring("embed_dim: found null"));
  CHECK_THAT(complaint(R"({"embed_dim": 1, "embed_dim": 2})"), ContainsSubstring("occurs twice"));
  CHECK_THAT(complaint(R"({"depths": 4})"), ContainsSubstring("depths: found 4, wanted a list of whole numbers"));
  CHECK_THAT(complaint(R"({"depths": {"0": 4}})"), ContainsSubstring("depths: found an object"));
  CHECK_THAT(complaint(R"({"depths": [4, [4]]})"), ContainsSubstring("depths: found a list of lists"));
  CHECK_THAT(complaint(R"({"depths": [4, "4"]})"), ContainsSubstring("depths: found '4'"));
  CHECK_THAT(complaint(R"({"depths": []})"), ContainsSubstring("depths: found 0, wanted at least 1"));
  CHECK_THAT(complaint(R"({"depths": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]})"), ContainsSubstring("at most 16"));
  CHECK_THAT(complaint(R"({"use_conditioning": 1})"),
             ContainsSubstring("use_conditioning: found 1, wanted true or false"));
  CHECK_THAT(complaint(R"({"mlp_ratio": "4"})"), ContainsSubstring("mlp_ratio: found '4'"));
  CHECK_THAT(complaint(R"({"residual_model": "vgg", "skip_connections": [0,0,0,0]})"),
             ContainsSubstring("found 'vgg'"));
  CHECK_THAT(complaint(R"({"hidden_act": 3})"), ContainsSubstring("hidden_act: found 3, wanted a text"));
  const std::string skips = R"(, "skip_connections": [0,0,0,0]})";
  CHECK_THAT(complaint(R"({"hidden_act": "gelu_new")" + skips), ContainsSubstring("found 'gelu_new', wanted gelu"));
  CHECK_THAT(complaint(R"({"mlp_ratio": 0.01)" + skips),
             ContainsSubstring("mlp_ratio: found 0.01, wanted at least one"));
  CHECK_THAT(complaint(R"({"window_size": 1)" + skips), ContainsSubstring("window_size: found 1, wanted at least 2"));
  CHECK_THAT(
      complaint(R"({"image_size": 130)" + skips),
      ContainsSubstring("image_size: found 130, wanted a multiple of patch_size, 4, and for 4 stages at least 64"));
  CHECK_THAT(complaint(R"({"image_size": 60)" + skips), ContainsSubstring("image_size: found 60"));
  // The original's own defaults: three skips for four stages, which it cannot run either.
  CHECK_THAT(complaint("{}"), ContainsSubstring("skip_connections: found 3 entries, wanted 4"));
  CHECK_THAT(complaint(R"({"skip_connections": [0,0,0,0], "num_heads": [3, 6, 12, 25]})"),
             ContainsSubstring("num_heads: found 25 in stage 3, wanted a divisor of its 768 channels"));
}
