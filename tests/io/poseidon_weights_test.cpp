// ScOT's weights in every format its users have, by the manifests of the goldens: no network is needed to read them.
#include <fieldstep/core/arena.hpp>
#include <fieldstep/io/weights.hpp>
#include <support/scratch_folder.hpp>
#include <support/synth.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

using namespace fieldstep;
using fieldstep::support::ScratchFolder;

namespace {

namespace fs = std::filesystem;
const fs::path goldens = fs::path(FIELDSTEP_GOLDEN_DIR) / "poseidon";

nlohmann::json manifest() { return nlohmann::json::parse(std::ifstream(goldens / "hf_tiny.json")); }

/// What a parameter of the manifest must hold.
std::vector<float> formula(const nlohmann::json& param, const std::string& prefix) {
  std::size_t size = 1;
  for (const int extent : param.at("shape")) size *= static_cast<std::size_t>(extent);
  return support::synth(prefix + param.at("name").get<std::string>(), size, param.at("offset"), param.at("scale"));
}

/// Tensors of a file, under PyTorch's names, that are not what the manifest says in name, shape and every bit.
std::size_t wrong_tensors(const io::TensorFile& file, const nlohmann::json& params, const std::string& prefix) {
  std::size_t wrong = file.tensors.size() != params.size();
  for (const auto& param : params) {
    const io::StoredTensor* tensor = file.find(param.at("name").get<std::string>());
    wrong += tensor == nullptr || tensor->shape != param.at("shape").get<io::Extents>() ||
             io::numbers<float>(*tensor) != formula(param, prefix);
  }
  return wrong;
}

}  // namespace

TEST_CASE("ScOT's weights: Hugging Face folders and the Flax tree hold what the formulas say, bit for bit",
          "[io][weights][poseidon][golden]") {
  const auto about = manifest();
  for (const char* name : {"hf_tiny", "hf_tiny/model.safetensors", "hf_tiny.msgpack"}) {
    CAPTURE(name);
    CHECK(wrong_tensors(io::open_weights(goldens / name), about.at("params"), "hf_tiny/") == 0);
  }
  const auto& bin = about.at("hf_tiny_bin");
  CHECK(wrong_tensors(io::open_weights(goldens / "hf_tiny_bin"), bin.at("params"), bin.at("param_prefix")) == 0);
}

TEST_CASE("ScOT's weights: the Flax tree that is written has the leaves of the original's converter",
          "[io][weights][poseidon][golden]") {
  const ScratchFolder scratch;
  io::save_weights(scratch / "w.msgpack", io::open_weights(goldens / "hf_tiny"), io::WeightFormat::flax);
  const io::TensorFile written = io::read_flax_msgpack(scratch / "w.msgpack");
  const io::TensorFile golden = io::read_flax_msgpack(goldens / "hf_tiny.msgpack");
  REQUIRE(written.tensors.size() == golden.tensors.size());
  for (const io::StoredTensor& leaf : golden.tensors) {
    CAPTURE(leaf.name);
    const io::StoredTensor* found = written.find(leaf.name);
    REQUIRE(found != nullptr);
    CHECK(found->dtype == leaf.dtype);
    CHECK(found->shape == leaf.shape);
    CHECK(io::numbers<float>(*found) == io::numbers<float>(leaf));
  }
}

TEST_CASE("ScOT's weights: networks of any depth, norm and skip come back from Flax as they went",
          "[io][weights][poseidon]") {
  // Stages of three and two blocks, unconditioned, with batch norms, a mask token and buffers that no forward reads.
  std::map<std::string, io::Extents> shapes{{"embeddings.mask_token", {1, 1, 4}},
                                            {"embeddings.norm.weight", {4}},
                                            {"embeddings.norm.bias", {4}},
                                            {"patch_recovery.projection.weight", {4, 3, 2, 2}},
                                            {"residual_blocks.0.1.bn1.running_mean", {4}},
                                            {"residual_blocks.0.1.bn1.running_var", {4}},
                                            {"residual_blocks.0.1.conv1.weight", {4, 4, 3, 3}}};
  for (const int stage : {0, 1})
    for (int block = 0; block < 3 - stage; ++block) {
      const std::string in_stage = ".blocks." + std::to_string(block);
      shapes["encoder.layers." + std::to_string(stage) + in_stage + ".output.dense.weight"] = {4, 8};
      shapes["decoder.layers." + std::to_string(1 - stage) + in_stage + ".layernorm_after.weight"] = {4};
    }
  std::vector<std::vector<float>> numbers;
  numbers.reserve(shapes.size() + 1);
  io::TensorFile file{.format = "test"};
  const auto add = [&](const std::string& name, const io::Extents& shape) {
    numbers.push_back(support::synth(name, io::item_count(shape, name)));
    file.tensors.push_back({.name = name,
                            .shape = shape,
                            .stride = io::row_major(shape),
                            .data = reinterpret_cast<const std::byte*>(numbers.back().data())});
  };
  for (const auto& [name, shape] : shapes) add(name, shape);
  add("residual_blocks.0.1.bn1.num_batches_tracked", {});

  const ScratchFolder scratch;
  io::save_weights(scratch / "w.msgpack", file, io::WeightFormat::flax);
  const io::TensorFile back = io::open_weights(scratch / "w.msgpack");
  CHECK(back.tensors.size() == shapes.size());
  for (const auto& [name, shape] : shapes) {
    CAPTURE(name);
    const io::StoredTensor* tensor = back.find(name);
    REQUIRE(tensor != nullptr);
    CHECK(tensor->shape == shape);
    CHECK(io::numbers<float>(*tensor) == support::synth(name, io::item_count(shape, name)));
  }
  CHECK(io::read_flax_msgpack(scratch / "w.msgpack")
            .find("params/decoder/layer_0/block_2/layernorm_after/LayerNorm_0/scale") != nullptr);
}
