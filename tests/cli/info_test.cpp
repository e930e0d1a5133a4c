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

TEST_CASE("info: the memory of a step of training, before it starts", "[cli][info][train]") {
  const auto of = [](const char* batch) {
    const Ended ended = run_fieldstep(
        {"info", "poseidon-tiny", "--grid", "128x128", "--fields", "4", "--train", "--batch", batch, "--json"});
    REQUIRE(ended.code == 0);
    return nlohmann::json::parse(ended.out).at(0);
  };
  const auto one = of("1"), four = of("4");
  const auto bytes = [](const nlohmann::json& model, const char* what) {
    return model.at("training").at(what).get<double>();
  };
  const double weights = one.at("weight_bytes").get<double>();
  CHECK(bytes(one, "recompute_bytes") > 4 * weights);
  CHECK(bytes(one, "keep_bytes") > bytes(one, "recompute_bytes"));
  CHECK(bytes(four, "keep_bytes") - 4 * weights > 3 * (bytes(one, "keep_bytes") - 4 * weights));
  const Ended text = run_fieldstep({"info", "avit-micro", "--grid", "32x64", "--train"});
  CHECK_THAT(text.out, ContainsSubstring("for inference only"));
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

TEST_CASE("info: a ScOT that is not compiled in is answered with the line that adds it", "[cli][info][poseidon]") {
  const std::string poseidon = FIELDSTEP_GOLDEN_DIR "/poseidon/";
  const Ended folder = run_fieldstep({"info", poseidon + "hf_tiny_bin"});
  REQUIRE(folder.code == 0);
  CHECK_THAT(folder.out, ContainsSubstring("Poseidon ScOT (embed_dim 4, depths 1,1, heads 1,2, skip blocks 1,0"));
  CHECK_THAT(folder.out,
             ContainsSubstring("fieldstep_add_model(fieldstep_program FAMILY poseidon VARIANT 4x1x1 EMBED_DIM 4 DEPTHS "
                               "1,1 HEADS 1,2 SKIP_BLOCKS 1,0 WINDOW 4 GRID 16x16 FIELDS 4)"));
  CHECK_THAT(run_fieldstep({"info", "poseidon-Q"}).err,
             ContainsSubstring("VARIANT Q EMBED_DIM <n> DEPTHS <n,n,...> HEADS <n,n,...> SKIP_BLOCKS <n,n,...> WINDOW "
                               "<n> GRID <height>x<width> FIELDS <n>)"));
  const auto about = nlohmann::json::parse(run_fieldstep({"info", poseidon + "hf_tiny.msgpack", "--json"}).out);
  CHECK(about.at("family") == "poseidon");
  CHECK(about.at("tensors") == 844);
  CHECK(about.at("configuration").at("num_heads") == std::vector<int>{1, 1, 2, 4});
}

TEST_CASE("info: a folder whose configuration is of other weights is refused", "[cli][info][poseidon]") {
  namespace fs = std::filesystem;
  const ScratchFolder scratch;
  const fs::path poseidon = fs::path(FIELDSTEP_GOLDEN_DIR) / "poseidon";
  fs::copy_file(poseidon / "hf_tiny_bin/pytorch_model.bin", scratch / "pytorch_model.bin");
  fs::copy_file(poseidon / "hf_tiny/config.json", scratch / "config.json");
  const Ended mixed = run_fieldstep({"info", scratch.path().string()});
  CHECK(complained(mixed, 1));
  CHECK_THAT(mixed.err, ContainsSubstring("config.json: describes Poseidon ScOT (embed_dim 4, depths 4,4,4,4") &&
                            ContainsSubstring("the weights beside it are of"));
  std::ofstream(scratch / "config.json") << R"({"depths": "deep"})";
  CHECK_THAT(run_fieldstep({"info", scratch.path().string()}).err, ContainsSubstring("depths: found 'deep'"));
}
