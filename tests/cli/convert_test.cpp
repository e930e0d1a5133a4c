#include <fieldstep/io/safetensors.hpp>
#include <fieldstep/io/weights.hpp>
#include <support/program.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

using Catch::Matchers::ContainsSubstring;
using namespace fieldstep;
using namespace fieldstep::support;

namespace {
const std::string goldens = FIELDSTEP_GOLDEN_DIR "/mpp/";
}

TEST_CASE("convert: every format becomes safetensors and msgpack with the same numbers", "[cli][convert]") {
  const ScratchFolder scratch;
  for (const char* file : {"ckpt_micro.tar", "ckpt_micro_raw.pt", "ckpt_micro_legacy.pt", "ckpt_micro.msgpack"})
    for (const char* name : {"w.safetensors", "w.msgpack"}) {
      const std::string output = scratch / name;
      REQUIRE(run_fieldstep({"convert", "--checkpoint", goldens + file, "--output", output}).code == 0);
      CHECK(run_fieldstep({"compare", goldens + "ckpt_micro.tar", output, "--tolerance", "0"}).code == 0);
    }
}

TEST_CASE("convert: metadata tell where the weights come from", "[cli][convert]") {
  const ScratchFolder scratch;
  const std::string output = scratch / "w.safetensors";
  REQUIRE(
      run_fieldstep({"convert", "--checkpoint", goldens + "ckpt_micro.tar", "--output", output, "--licence", "mine"})
          .code == 0);
  const auto metadata = nlohmann::json::parse(run_fieldstep({"info", output, "--json"}).out).at("metadata");
  CHECK(metadata.at("fieldstep.format") == "1");
  CHECK(metadata.at("fieldstep.family") == "mpp");
  CHECK(metadata.at("fieldstep.layout") == "torch");
  CHECK(metadata.at("fieldstep.licence") == "mine");
  CHECK(nlohmann::json::parse(metadata.at("fieldstep.config").get<std::string>()).at("embed_dim") == 32);
  const auto source = nlohmann::json::parse(metadata.at("fieldstep.source").get<std::string>());
  CHECK(source.at("file") == "ckpt_micro.tar");
  const std::string sum = run({"sha256sum", goldens + "ckpt_micro.tar"}).out;
  CHECK(source.at("sha256") == sum.substr(0, 64));
}

TEST_CASE("convert: a refusal leaves nothing behind", "[cli][convert]") {
  const ScratchFolder scratch;
  const std::string checkpoint = goldens + "ckpt_micro.tar", output = scratch / "w.safetensors";
  const Ended variant = run_fieldstep({"convert", "--checkpoint", checkpoint, "--output", output, "--variant", "Ti"});
  CHECK(complained(variant, 1));
  CHECK_THAT(variant.err, ContainsSubstring("AViT-Ti"));
  CHECK(complained(run_fieldstep({"convert", "--checkpoint", checkpoint, "--output", scratch / "w.bin"}), 2));
  CHECK(complained(run_fieldstep({"convert", "--checkpoint", scratch / "none.tar", "--output", output}), 1));
  CHECK(complained(run_fieldstep({"convert", "--checkpoint", goldens + "README.md", "--output", output}), 1));
  CHECK(complained(run_fieldstep({"convert", "--checkpoint", goldens + "full_Ti.safetensors", "--output", output}), 1));
  CHECK(
      complained(run_fieldstep({"convert", "--checkpoint", checkpoint, "--output", scratch / "no/w.safetensors"}), 1));
  CHECK(scratch.size() == 0);
}

TEST_CASE("convert: ScOT's weights of every format, with what their configuration says", "[cli][convert][poseidon]") {
  const ScratchFolder scratch;
  const std::string poseidon = FIELDSTEP_GOLDEN_DIR "/poseidon/", tree = scratch / "w.msgpack",
                    tensors = scratch / "w.safetensors";
  REQUIRE(run_fieldstep({"convert", "--checkpoint", poseidon + "hf_tiny", "--output", tree}).code == 0);
  CHECK(run_fieldstep({"compare", poseidon + "hf_tiny.msgpack", tree, "--tolerance", "0"}).code == 0);
  REQUIRE(run_fieldstep({"convert", "--checkpoint", poseidon + "hf_tiny", "--output", tensors}).code == 0);
  CHECK(run_fieldstep({"compare", poseidon + "hf_tiny.msgpack", tensors, "--tolerance", "0"}).code == 0);
  const auto metadata = nlohmann::json::parse(run_fieldstep({"info", tensors, "--json"}).out).at("metadata");
  CHECK(metadata.at("fieldstep.family") == "poseidon");
  const auto config = nlohmann::json::parse(metadata.at("fieldstep.config").get<std::string>());
  CHECK(config.at("window_size") == 8);
  CHECK(config.at("image_size") == 64);
  CHECK(config.at("depths") == std::vector<int>{4, 4, 4, 4});
  CHECK(complained(run_fieldstep({"convert", "--checkpoint", poseidon + "hf_tiny", "--output", tree, "--variant", "T"}),
                   1));
  for (const std::string& output : {tree, tensors}) {  // a network that is not compiled in
    REQUIRE(run_fieldstep({"convert", "--checkpoint", poseidon + "hf_tiny_bin", "--output", output}).code == 0);
    CHECK(run_fieldstep({"compare", poseidon + "hf_tiny_bin", output, "--tolerance", "0"}).code == 0);
  }
}

TEST_CASE("convert: ScOT's weights in shards are those of the whole", "[cli][convert][poseidon]") {
  namespace fs = std::filesystem;
  const ScratchFolder scratch;
  const std::string whole = FIELDSTEP_GOLDEN_DIR "/poseidon/hf_tiny", tensors = scratch / "w.safetensors";
  const fs::path shards = scratch / "shards";
  fs::create_directory(shards);
  fs::copy_file(whole + "/config.json", shards / "config.json");
  const io::TensorFile file = io::read_safetensors(whole + "/model.safetensors");
  nlohmann::json index{{"metadata", {{"total_size", 4 * 235944}}}};
  for (const std::size_t half : {0, 1}) {
    const std::string name = "model-0000" + std::to_string(half + 1) + "-of-00002.safetensors";
    io::TensorFile part{.format = file.format};
    for (std::size_t i = half * 400; i < (half == 0 ? 400 : file.tensors.size()); ++i) {
      part.tensors.push_back(file.tensors[i]);
      index["weight_map"][file.tensors[i].name] = name;
    }
    io::save_weights(shards / name, part, io::WeightFormat::safetensors);
  }
  std::ofstream(shards / "model.safetensors.index.json") << index;
  const Ended same = run_fieldstep({"compare", whole, shards, "--tolerance", "0"});
  CHECK(same.code == 0);
  CHECK_THAT(same.out, ContainsSubstring("845 compared, 845 equal"));  // and the output
  REQUIRE(run_fieldstep({"convert", "--checkpoint", shards, "--output", tensors}).code == 0);
  CHECK(run_fieldstep({"compare", whole, tensors, "--tolerance", "0"}).code == 0);

  fs::remove(shards / "model-00002-of-00002.safetensors");
  fs::remove(tensors);
  const Ended missing = run_fieldstep({"convert", "--checkpoint", shards, "--output", tensors});
  CHECK(complained(missing, 1));
  CHECK_THAT(missing.err, ContainsSubstring("model-00002-of-00002.safetensors: cannot be opened"));
  CHECK(!fs::exists(tensors));
}

TEST_CASE("convert: a merge starts a compiled-in model, and says what is new", "[cli][convert][merge]") {
  const ScratchFolder scratch;
  const std::string merged = scratch / "w.safetensors", checkpoint = goldens + "ckpt_micro.tar";
  const auto merge = [&](const std::string& from, std::vector<std::string> more) {
    std::vector<std::string> arguments{"convert", "--checkpoint", from, "--output", merged, "--merge"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_fieldstep(arguments);
  };
  const Ended same = merge(checkpoint, {"--model", "avit-micro"});
  REQUIRE(same.code == 0);
  CHECK_THAT(same.out, ContainsSubstring("89 kept"));
  CHECK(run_fieldstep({"compare", checkpoint, merged, "--tolerance", "0"}).code == 0);
  std::filesystem::remove(merged);
  CHECK(complained(merge(checkpoint, {}), 2));
  CHECK(merge(checkpoint, {"--model", "avit-Q"}).code == 2);
  const Ended other_fields = merge(FIELDSTEP_GOLDEN_DIR "/poseidon/hf_tiny",
                                   {"--model", "poseidon-mine", "--fields", "2", "--grid", "128x128"});
  CHECK(other_fields.code == 2);
  CHECK_THAT(other_fields.err,
             ContainsSubstring("VARIANT mine EMBED_DIM 4 DEPTHS 4,4,4,4 HEADS 1,1,2,4 SKIP_BLOCKS 2,2,2,0 WINDOW 8 "
                               "IMAGE_SIZE 64 GRID 128x128 FIELDS 2 OUT_CHANNELS 2)"));
  const Ended other = merge(FIELDSTEP_GOLDEN_DIR "/poseidon/hf_tiny", {"--model", "avit-micro"});
  CHECK(complained(other, 1));
  CHECK_THAT(other.err, ContainsSubstring("nothing in common"));
  CHECK(scratch.size() == 0);
}
