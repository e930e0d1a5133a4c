#include <support/program.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

using Catch::Matchers::ContainsSubstring;
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
  const Ended other = merge(FIELDSTEP_GOLDEN_DIR "/poseidon/hf_tiny", {"--model", "avit-micro"});
  CHECK(complained(other, 1));
  CHECK_THAT(other.err, ContainsSubstring("nothing in common"));
  CHECK(scratch.size() == 0);
}
