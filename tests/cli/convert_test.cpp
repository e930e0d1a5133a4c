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
