#include <fieldstep/io/safetensors.hpp>
#include <support/program.hpp>
#include <support/training_run.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

using Catch::Matchers::ContainsSubstring;
using namespace fieldstep;
using namespace fieldstep::support;

namespace {

namespace fs = std::filesystem;

const std::string flow = FIELDSTEP_SAMPLE_DIR "/poseidon/NS-PwC.nc";
const std::string tiny = FIELDSTEP_GOLDEN_DIR "/poseidon/hf_tiny";

/// A short training of the small ScOT.
std::vector<std::string> words(const std::string& output, std::vector<std::string> more = {}) {
  std::vector<std::string> all{"train", "--model", "poseidon-tiny", "--output", output, "--batch", "2"};
  const auto given = [&](const char* name) { return std::ranges::find(more, name) != more.end(); };
  all.insert(all.end(), {"--data", flow});
  if (!given("--lr")) all.insert(all.end(), {"--lr", "2e-3"});
  if (!given("--threads")) all.insert(all.end(), {"--threads", "1"});
  all.insert(all.end(), more.begin(), more.end());
  return all;
}
Ended train(const std::string& output, std::vector<std::string> more = {}) {
  return run_fieldstep(words(output, std::move(more)));
}

std::vector<nlohmann::json> lines(const fs::path& path) {
  std::vector<nlohmann::json> all;
  std::istringstream text(text_of(path));
  for (std::string line; std::getline(text, line);) all.push_back(nlohmann::json::parse(line));
  return all;
}

}  // namespace

TEST_CASE("train: a ScOT learns, and what it leaves is there", "[cli][train]") {
  const ScratchFolder scratch;
  const std::string output = scratch / "run";
  const Ended ended = train(output, {"--steps", "60", "--validate-every", "20", "--checkpoint", tiny, "--json"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  const auto about = nlohmann::json::parse(ended.out);
  CHECK(about.at("steps") == 60);
  CHECK(about.at("weights") == "844 kept");
  CHECK(about.at("relative_l1_percent").size() == 3);
  const auto log = lines(scratch / "run/log.jsonl");
  REQUIRE(log.size() == 60);
  double first = 0, last = 0;
  for (std::size_t i = 0; i < 60; ++i) {
    CHECK(log[i].at("step") == i + 1);
    CHECK(log[i].contains("validation") == ((i + 1) % 20 == 0));
    if (i < 10) first += log[i].at("loss").get<double>() / 10;
    if (i >= 50) last += log[i].at("loss").get<double>() / 10;
  }
  CHECK(last < .8 * first);
  CHECK(log[59].at("validation") < log[19].at("validation"));
  CHECK(log[0].at("learning_rate") == 2e-3);
  for (const char* name : {"last.safetensors", "best.safetensors", "train.json", "loss.csv", "loss.gp"})
    CHECK(fs::file_size(scratch / "run" / name) > 0);

  // Both files serve as weights.
  for (const std::string file : {"best.safetensors", "last.safetensors"}) {
    const Ended forecast = run_fieldstep({"forecast", "--weights", output + "/" + file, "--data", flow, "--steps", "1",
                                          "--output", scratch / "forecast", "--quiet"});
    INFO(forecast.err);
    CHECK(forecast.code == 0);
  }
  const Ended again = train(output, {"--steps", "60"});
  CHECK(complained(again, 1));
  CHECK_THAT(again.err, ContainsSubstring("holds a training already"));
}

TEST_CASE("train: equal bits from run to run, for one thread and two, for frames kept and read", "[cli][train]") {
  const ScratchFolder scratch;
  const auto weights = [&](const std::string& name, std::vector<std::string> more) {
    more.insert(more.end(), {"--steps", "6", "--accumulate", "2", "--quiet"});
    const Ended ended = train(scratch / name, more);
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(ended.out + ended.err == "");
    return training_tensors(scratch / name);
  };
  const auto usual = weights("usual", {});
  CHECK(weights("again", {}) == usual);
  CHECK(weights("read", {"--data-memory", "1"}) == usual);
  CHECK(weights("recomputed", {"--recompute"}) == usual);
  CHECK(weights("other", {"--seed", "1"}) != usual);
#ifdef KOKKOS_ENABLE_OPENMP
  CHECK(weights("two", {"--threads", "2"}) == usual);
#endif
}

TEST_CASE("train: what is frozen keeps its bits, and other weights are merged with a report", "[cli][train]") {
  const ScratchFolder scratch;
  const std::string waves = FIELDSTEP_SAMPLE_DIR "/poseidon/ACE.nc";
  const Ended ended = run_fieldstep({"train", "--model", "poseidon-tiny", "--data", waves, "--checkpoint", tiny,
                                     "--output", scratch / "run", "--steps", "3", "--freeze", "encoder,decoder",
                                     "--lr-embedding", "1e-2", "--lr-time", "1e-3"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  CHECK_THAT(ended.out, ContainsSubstring("4 re-initialised"));
  CHECK_THAT(ended.out, ContainsSubstring("embeddings.patch_embeddings.projection.weight"));
  const auto before = tensors_of(tiny + "/model.safetensors"), after = tensors_of(scratch / "run/last.safetensors");
  std::size_t moved = 0;
  for (const auto& [name, bytes] : before) {
    if (name.starts_with("encoder.") || name.starts_with("decoder.")) CHECK(after.at(name) == bytes);
    moved += after.at(name) != bytes ? 1 : 0;
  }
  CHECK(moved > 4);
}

TEST_CASE("train: what cannot be trained gets a sentence", "[cli][train]") {
  const ScratchFolder scratch;
  const auto refused = [&](std::vector<std::string> arguments, int code, const std::string& says) {
    arguments.insert(arguments.begin(), "train");
    const Ended ended = run_fieldstep(arguments);
    INFO(ended.err);
    CHECK(ended.code == code);
    CHECK(ended.err.starts_with("fieldstep: "));
    CHECK_THAT(ended.err, ContainsSubstring(says));
  };
  const std::string out = scratch / "out", water = FIELDSTEP_SAMPLE_DIR "/pdebench/2D_rdb_NA_NA.h5";
  refused({"--output", out}, 2, "wanted --model, --data");
  refused({"--output", out, "--resume"}, 2, "wanted --model, --data");
  refused({"--output", out, "--model", "poseidon-tiny", "--data", flow}, 2, "--steps or --epochs");
  refused({"--output", out, "--model", "poseidon-tiny", "--data", flow, "--steps", "2", "--epochs", "2"}, 2, "either");
  const std::vector<std::string> start{"--output", out, "--model", "poseidon-tiny", "--data", flow, "--steps", "2"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), start.begin(), start.end());
    return more;
  };
  refused(with({"--optimizer", "luck"}), 2, "--optimizer");
  refused(with({"--warmup", "2"}), 2, "--warmup: found 2");
  refused(with({"--freeze", "nothing"}), 2, "no parameter of poseidon-tiny begins with nothing");
  refused(with({"--freeze", "e,d,p,r"}), 2, "nothing is left to train");
  refused(with({"--checkpoint", water}), 1, "2D_rdb_NA_NA.h5");
  refused(with({"--transitions", "9"}), 2, "none of the transitions");
  refused(with({"--validation-data", water}), 2, "none of the sets that are trained on");
  refused({"--output", out, "--model", "poseidon-Q", "--data", flow, "--steps", "2"}, 2, "poseidon-Q");
  refused({"--output", out, "--model", "poseidon-tiny", "--data", scratch / "none.nc", "--steps", "2"}, 1, "none.nc");
  refused({"--output", out, "--model", "poseidon-tiny", "--data", scratch.path(), "--steps", "2"}, 1, "holds no file");
  refused({"--output", scratch / "no/out", "--model", "poseidon-tiny", "--data", flow, "--steps", "2"}, 1,
          "cannot be created");
  CHECK(!fs::exists(out));
  std::ofstream(scratch / "thesis.txt") << "mine";
  refused({"--output", scratch.path(), "--model", "poseidon-tiny", "--data", flow, "--steps", "2"}, 1,
          "holds thesis.txt and no training");
  // Compiled in for inference only.
  refused({"--output", out, "--model", "poseidon-tiny", "--data",
           FIELDSTEP_SAMPLE_DIR "/the_well/shear_flow_Reynolds_1e3_Schmidt_1e0.hdf5", "--steps", "2"},
          2, "GRID 64x128 FIELDS 4 TRAINABLE");
}

TEST_CASE("train: a loss that is not finite ends the run, the last good checkpoint stays", "[cli][train]") {
  const ScratchFolder scratch;
  const Ended ended = train(scratch / "run", {"--steps", "40", "--lr", "1e12", "--clip", "0", "--optimizer", "sgd"});
  CHECK(ended.code == 1);
  CHECK_THAT(ended.err, ContainsSubstring("training: the ") && ContainsSubstring(" in step ") &&
                            ContainsSubstring("last.safetensors is as it was after step"));
  for (const auto& [name, bytes] : training_tensors(scratch / "run"))
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(float)) {
      float number = 0;
      std::memcpy(&number, bytes.data() + at, sizeof number);
      if (!std::isfinite(number)) FAIL(name << " holds " << number);
    }
}

TEST_CASE("train: one AViT learns from sets of one to four fields at once", "[cli][train]") {
  const ScratchFolder scratch;
  const std::string pdebench = FIELDSTEP_SAMPLE_DIR "/pdebench/";
  const auto run_in = [&](const std::string& name, std::vector<std::string> more) {
    more.insert(more.begin(), {"train", "--output", scratch / name, "--threads", "1", "--json"});
    const Ended ended = run_fieldstep(more);
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    return nlohmann::json::parse(ended.out);
  };
  const auto start = [&](const char* steps) {
    return std::vector<std::string>{"--model",
                                    "avit-micro",
                                    "--steps",
                                    steps,
                                    "--schedule",
                                    "constant",
                                    "--lr",
                                    "2e-3",
                                    "--validate-every",
                                    "20",
                                    "--batch",
                                    "2",
                                    "--accumulate",
                                    "2",
                                    "--data",
                                    pdebench + "2D_rdb_NA_NA.h5",
                                    pdebench + "2D_diff-react_NA_NA.h5",
                                    pdebench + "ns_incom_inhom_2d_128-21.h5",
                                    pdebench + "2D_CFD_Rand_M0.1_Eta1e-08_Zeta1e-08_periodic_128_Train.hdf5"};
  };
  const auto about = run_in("whole", start("60"));
  CHECK(about.at("nrmse") < 1);
  const auto log = lines(scratch / "whole/log.jsonl");
  CHECK(log[59].at("validation") < log[19].at("validation"));
  run_in("parted", start("23"));
  run_in("parted", {"--resume", "--steps", "60"});
  CHECK(training_tensors(scratch / "parted") == training_tensors(scratch / "whole"));
  const Ended forecast =
      run_fieldstep({"forecast", "--weights", scratch / "whole/best.safetensors", "--data",
                     pdebench + "2D_diff-react_NA_NA.h5", "--steps", "1", "--output", scratch / "forecast", "--quiet"});
  CHECK(forecast.code == 0);

  const Ended unlabelled =
      run_fieldstep({"train", "--output", scratch / "none", "--model", "avit-micro", "--data", flow, "--steps", "2"});
  CHECK(unlabelled.code == 2);
  CHECK_THAT(unlabelled.err, ContainsSubstring("labels: found 0"));
  CHECK(!fs::exists(scratch / "none"));
}
