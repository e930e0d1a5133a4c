#include <fieldstep/io/safetensors.hpp>
#include <fieldstep/io/weights.hpp>
#include <support/program.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

using Catch::Matchers::ContainsSubstring;
using namespace fieldstep;
using namespace fieldstep::support;

namespace {

const std::string goldens = FIELDSTEP_GOLDEN_DIR "/mpp/";

/// The golden checkpoint with one number of its first tensor changed.
void write_changed(const std::filesystem::path& path, const ScratchFolder& scratch) {
  const std::string same = scratch / "same.safetensors";
  REQUIRE(run_fieldstep({"convert", "--checkpoint", goldens + "ckpt_micro_raw.pt", "--output", same}).code == 0);
  const io::TensorFile file = io::read_safetensors(same);
  io::AtomicFile target(path);
  io::write_safetensors(target, io::specs_of(file), {}, [&](std::size_t i, std::span<std::byte> to) {
    io::copy_items(file.tensors[i], to.data());
    if (i == 0) to[2] ^= std::byte{0x40};  // a bit of the mantissa
  });
  target.commit();
}

}  // namespace

TEST_CASE("compare: formats of one checkpoint agree, tensors and output", "[cli][compare]") {
  const Ended ended = run_fieldstep(
      {"compare", goldens + "ckpt_micro.tar", goldens + "ckpt_micro.msgpack", "--tolerance", "0", "--json"});
  REQUIRE(ended.code == 0);
  const auto about = nlohmann::json::parse(ended.out);
  CHECK(about.at("agree") == true);
  CHECK(about.at("differences").back().at("name") == "output on a smooth input");
  CHECK(about.at("differences").back().at("max") == 0);
}

TEST_CASE("compare: a golden case's weights and output are reproduced", "[cli][compare][golden]") {
  for (const char* golden : {"ckpt_micro.json", ""}) {  // the manifest, the folder
    const Ended ended = run_fieldstep({"compare", goldens + "ckpt_micro.tar", goldens + golden});
    CHECK(ended.code == 0);
    CHECK_THAT(ended.out, ContainsSubstring("output of the golden case"));
  }
}

TEST_CASE("compare: ScOT's golden case is found in its folder; cases that inference cannot run are refused",
          "[cli][compare][golden][poseidon]") {
  const std::string poseidon = FIELDSTEP_GOLDEN_DIR "/poseidon/", weights = poseidon + "hf_tiny";
  const Ended found = run_fieldstep({"compare", weights, poseidon});
  CHECK(found.code == 0);
  CHECK_THAT(found.out, ContainsSubstring("hf_tiny.json: 845 compared, 844 equal"));
  CHECK(run_fieldstep({"compare", weights, poseidon + "hf_tiny.json", "--tolerance", "1e-7", "--quiet"}).code == 1);
  CHECK_THAT(run_fieldstep({"compare", weights, poseidon + "droppath.json"}).err,
             ContainsSubstring("droppath.json: is a case of training"));
  CHECK_THAT(run_fieldstep({"compare", weights, poseidon + "pixelmask_field.json"}).err,
             ContainsSubstring("has a pixel_mask, wanted a case without masks"));
}

TEST_CASE("compare: a difference beyond the tolerance is named, exit code 1", "[cli][compare]") {
  const ScratchFolder scratch;
  const std::string changed = scratch / "changed.safetensors", original = goldens + "ckpt_micro.tar";
  write_changed(changed, scratch);
  const Ended ended = run_fieldstep({"compare", original, changed});
  CHECK(ended.code == 1);
  CHECK_THAT(ended.err, ContainsSubstring("differ") && ContainsSubstring("--tolerance"));
  CHECK(run_fieldstep({"compare", original, changed, "--tolerance", "10", "--quiet"}).code == 0);
}

TEST_CASE("compare: files of different networks differ", "[cli][compare]") {
  const Ended ended = run_fieldstep({"compare", goldens + "ckpt_micro.tar", goldens + "micro.safetensors"});
  CHECK(ended.code == 1);
  CHECK_THAT(ended.err, ContainsSubstring("only in the first"));
  CHECK(complained(run_fieldstep({"compare", goldens + "ckpt_micro.tar", goldens + "none.tar"}), 1));
}

TEST_CASE("compare: what no forward pass reads makes no difference", "[cli][compare][poseidon]") {
  const ScratchFolder scratch;
  const std::string bare = FIELDSTEP_GOLDEN_DIR "/poseidon/hf_tiny/model.safetensors",
                    counted = scratch / "counted.safetensors";
  io::TensorFile file = io::read_safetensors(bare);
  const std::int64_t batches = 7;
  file.tensors.push_back({.name = "residual_blocks.0.0.bn1.num_batches_tracked",
                          .dtype = io::Dtype::i64,
                          .shape = {},
                          .stride = {},
                          .data = reinterpret_cast<const std::byte*>(&batches)});
  io::save_weights(counted, file, io::WeightFormat::safetensors);
  CHECK(run_fieldstep({"compare", bare, counted, "--tolerance", "0"}).code == 0);
  CHECK(run_fieldstep({"compare", counted, bare, "--tolerance", "0"}).code == 0);
}

TEST_CASE("compare: --model names the network that computes", "[cli][compare]") {
  const std::string checkpoint = goldens + "ckpt_micro.tar";
  CHECK(run_fieldstep({"compare", checkpoint, checkpoint, "--model", "avit-micro"}).code == 0);
  CHECK(run_fieldstep({"compare", checkpoint, checkpoint, "--model", "avit-Q"}).code == 2);
}
