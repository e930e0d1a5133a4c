#include <support/program.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

using Catch::Matchers::ContainsSubstring;
using namespace fieldstep::support;

namespace {
const std::string goldens = FIELDSTEP_GOLDEN_DIR "/mpp/";
}

TEST_CASE("info: lists the compiled-in models", "[cli][info]") {
  const Ended ended = run_fieldstep({"info", "--json"});
  REQUIRE(ended.code == 0);
  const auto models = nlohmann::json::parse(ended.out);
  REQUIRE(!models.empty());
  CHECK(models[0].at("model") == "avit-micro");
  CHECK(models[0].at("configuration").at("embed_dim") == 32);
  CHECK(models[0].at("workspace_bytes") > 0);
  CHECK_THAT(run_fieldstep({"info"}).out, ContainsSubstring("avit-micro"));
  CHECK_THAT(run_fieldstep({"info", "avit-micro", "--params"}).out, ContainsSubstring("space_bag"));
}

TEST_CASE("info: tells what a weight file of any format holds", "[cli][info]") {
  for (const char* file : {"ckpt_micro.tar", "ckpt_micro_raw.pt", "ckpt_micro_legacy.pt", "ckpt_micro.msgpack"}) {
    const Ended ended = run_fieldstep({"info", goldens + file, "--json", "--params"});
    REQUIRE(ended.code == 0);
    const auto about = nlohmann::json::parse(ended.out);
    CHECK(about.at("family") == "mpp");
    CHECK(about.at("configuration").at("blocks") == 2);
    CHECK(about.at("params").size() == about.at("tensors"));
    CHECK(!about.at("models").empty());
  }
}

TEST_CASE("info: what it does not know gets one sentence", "[cli][info]") {
  CHECK(complained(run_fieldstep({"info", "nothing"}), 1));
  CHECK(complained(run_fieldstep({"info", goldens + "../README.md"}), 1));
}
