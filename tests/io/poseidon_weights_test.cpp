// ScOT's weights in every format its users have, by the manifests of the goldens: no network is needed to read them.
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/pretrained.hpp>
#include <support/scratch_folder.hpp>
#include <support/synth.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

using namespace fieldstep;
using Catch::Matchers::ContainsSubstring;
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

/// The parameters of the golden network with other numbers of channels in and out, each with a law of its own.
std::vector<ParamEntry> table_with_channels(int in, int out) {
  std::vector<ParamEntry> table;
  std::size_t offset = 0;
  const auto params = manifest().at("params");
  for (const auto& param : params) {
    ParamEntry entry;
    const auto name = param.at("name").get<std::string>();
    entry.path = ParamPath() / name;
    for (const int extent : param.at("shape")) entry.extents[static_cast<std::size_t>(entry.rank++)] = extent;
    if (name == "embeddings.patch_embeddings.projection.weight") entry.extents[1] = in;
    if (name == "patch_recovery.projection.weight") entry.extents[1] = out;
    if (name == "patch_recovery.projection.bias") entry.extents[0] = out;
    if (name == "patch_recovery.mixup.weight") entry.extents[0] = entry.extents[1] = out;
    for (const int extent : entry.shape()) entry.size *= static_cast<std::size_t>(extent);
    entry.stored = entry.size;
    entry.offset = offset;
    entry.init = init_weight(static_cast<int>(1 + table.size()));
    offset += aligned_count(entry.stored);
    table.push_back(entry);
  }
  return table;
}

std::size_t size_of(ParamTable table) { return table.back().offset + table.back().stored; }

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

TEST_CASE("Pretrained weights: other channels start embedding and recovery anew, and nothing else",
          "[io][weights][poseidon][merge]") {
  for (const int channels : {1, 5}) {
    CAPTURE(channels);
    const std::vector<ParamEntry> table = table_with_channels(channels, channels);
    Arena<float> arena(size_of(table)), fresh(size_of(table));
    std::fill_n(arena.data(), size_of(table), std::numeric_limits<float>::quiet_NaN());  // as memory may be found
    const io::LoadReport report =
        io::init_poseidon_with_weights(goldens / "hf_tiny.msgpack", ParamTable(table), arena.data(), make_key(7));
    CHECK(report.count(io::Outcome::kept) == 840);
    CHECK(report.count(io::Outcome::reinitialised) == 4);
    CHECK_THAT(report.text(), Catch::Matchers::StartsWith("840 kept, 4 re-initialised; the file holds Poseidon ScOT"));
    CHECK_THAT(report.text(), ContainsSubstring("\n  patch_recovery.projection.bias                 re-initialised, "
                                                "wanted (" +
                                                std::to_string(channels) + "), found (4)"));

    initialise(ParamTable(table), fresh.data(), make_key(7));
    std::vector<std::string> anew;
    const auto params = manifest().at("params");
    for (std::size_t i = 0; i < table.size(); ++i) {
      const std::vector<float> found(arena.data() + table[i].offset, arena.data() + table[i].offset + table[i].size);
      const std::vector<float> drawn(fresh.data() + table[i].offset, fresh.data() + table[i].offset + table[i].size);
      if (found == drawn)
        anew.emplace_back(table[i].path.view());
      else
        CHECK(found == formula(params[i], "hf_tiny/"));
    }
    CHECK(anew == std::vector<std::string>{"embeddings.patch_embeddings.projection.weight",
                                           "patch_recovery.projection.weight", "patch_recovery.projection.bias",
                                           "patch_recovery.mixup.weight"});
  }
}

TEST_CASE("Pretrained weights: a merge keeps the caller's fresh values", "[io][weights][poseidon][merge]") {
  const std::vector<ParamEntry> table = table_with_channels(4, 1);
  Arena<float> arena(size_of(table));
  std::fill_n(arena.data(), size_of(table), 3.0f);
  const io::LoadReport report =
      io::merge_pretrained_params(io::open_weights(goldens / "hf_tiny"), ParamTable(table), arena.data());
  CHECK(report.count(io::Outcome::reinitialised) == 3);
  for (std::size_t i = 0; i < table.size(); ++i)
    if (report.rows[i].outcome == io::Outcome::reinitialised)
      CHECK(std::all_of(arena.data() + table[i].offset, arena.data() + table[i].offset + table[i].size,
                        [](float v) { return v == 3; }));
}

TEST_CASE("Pretrained weights: another family has nothing to give", "[io][weights][poseidon][merge][hostile]") {
  const std::vector<ParamEntry> table = table_with_channels(4, 4);
  std::vector<float> arena(size_of(table), 3.0f);
  try {
    io::init_poseidon_with_weights(fs::path(FIELDSTEP_GOLDEN_DIR) / "mpp/ckpt_micro.tar", ParamTable(table),
                                   arena.data(), make_key(0));
    FAIL("merged an AViT into a ScOT");
  } catch (const Error& error) {
    CHECK_THAT(error.what(), ContainsSubstring("ckpt_micro.tar: the weights have nothing in common with the model: the "
                                               "file holds AViT (embed_dim 32"));
  }
  CHECK(arena == std::vector<float>(size_of(table), 3.0f));
}
