#include <support/program.hpp>
#include <support/samples.hpp>
#include <support/waves.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinRel;
using namespace fieldstep;
using namespace fieldstep::support;

namespace {

namespace fs = std::filesystem;

/// Weights of small networks that learned waves for a moment, one for every seed.
void train_waves(const std::string& data, const std::string& output, const std::string& seeds) {
  const Ended ended =
      run_fieldstep({"train", "--network", "Conv;32;4;relu", "--method", "one", "--data", data, "--output", output,
                     "--seeds", seeds, "--batch", "4", "--optimizer", "adam;30;constant;2e-3", "--threads", "1"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
}

Ended evaluate(const std::string& data, const std::string& output, std::vector<std::string> more) {
  std::vector<std::string> all{"evaluate", "--data", data, "--output", output, "--threads", "1"};
  all.insert(all.end(), more.begin(), more.end());
  return run_fieldstep(all);
}

}  // namespace

TEST_CASE("evaluate: curves of seeds beside persistence, pictures and frames", "[cli][evaluate]") {
  const ScratchFolder scratch;
  const std::string data = scratch / "waves.npy", test = scratch / "test.npy", runs = scratch / "runs";
  write_waves(data, 3, 6, 1);
  write_waves(test, 2, 8, 1, 10);
  train_waves(data, runs, "0,1,2");
  const auto weights = [&](int seed) { return runs + "/seed_" + std::to_string(seed) + "/last.safetensors"; };
  const Ended ended = evaluate(
      test, scratch / "out",
      {"--weights", weights(0), weights(1), weights(2), "--label", "one,one,alone", "--steps", "4", "--metrics",
       "mean_nRMSE,correlation", "--every", "2", "--pictures", "2", "--frames", scratch / "movie", "--json"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  const auto about = nlohmann::json::parse(ended.out);
  CHECK(about.at("starts") == 2 * 2);
  REQUIRE(about.at("methods").size() == 3);
  const auto curve = [&](int method, const char* what, int metric = 0) {
    return about.at("methods").at(method).at("metrics").at(metric).at(what);
  };
  CHECK(about.at("methods").at(0).at("runs") == 2);
  CHECK(about.at("methods").at(2).at("label") == "persistence");
  CHECK(curve(0, "median").size() == 4);
  for (int t = 0; t < 4; ++t) {
    CHECK(curve(0, "q25")[t] <= curve(0, "median")[t]);
    CHECK(curve(0, "median")[t] <= curve(0, "q75")[t]);
  }
  CHECK(curve(0, "median")[0] < curve(2, "median")[0]);        // it has learned something
  CHECK(curve(2, "median")[0] < curve(2, "median")[3]);        // which persistence has not
  CHECK(curve(0, "median", 1)[0] > curve(2, "median", 1)[0]);  // correlation
  double logs = 0;
  for (const double error : curve(1, "median")) logs += std::log(error) / 4;
  CHECK_THAT(curve(1, "gmean").get<double>(), WithinRel(std::exp(logs), 1e-12));
  const std::string table = text_of(scratch / "out/errors.csv");
  CHECK(
      table.starts_with("step,mean_nRMSE one,mean_nRMSE one q25,mean_nRMSE one q75,mean_nRMSE alone,"
                        "mean_nRMSE persistence,correlation one,"));
  for (const std::string name : {"out/step_001.png", "out/step_004.png", "out/errors.gp", "out/evaluate.json",
                                 "movie/frame_0001.png", "movie/frame_0004.png"})
    CHECK(fs::file_size(scratch / name) > 0);

  const Ended plain = evaluate(test, scratch / "out", {"--weights", weights(0), "--steps", "3", "--up-to", "2"});
  CHECK_THAT(plain.out, ContainsSubstring("seed_0: nRMSE ") && ContainsSubstring("gmean of the first 2 "));
}

TEST_CASE("evaluate: the golden AViT and ScOT go through their sets", "[cli][evaluate]") {
  const ScratchFolder scratch;
  const auto errors = [&](const std::string& weights, const std::string& data) {
    const Ended ended = evaluate(sample(data), scratch / "out",
                                 {"--weights", std::string(FIELDSTEP_GOLDEN_DIR) + weights, "--steps", "2", "--json"});
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    return nlohmann::json::parse(ended.out).at("methods").at(0).at("metrics").at(0).at("median");
  };
  CHECK(errors("/mpp/ckpt_micro.tar", "pdebench/2D_rdb_NA_NA.h5").size() == 2);
  CHECK(errors("/poseidon/hf_tiny", "poseidon/NS-PwC.nc").size() == 2);
}

TEST_CASE("evaluate: what cannot be done gets a sentence and leaves nothing", "[cli][evaluate]") {
  const ScratchFolder scratch;
  const std::string data = scratch / "waves.npy", weights = std::string(FIELDSTEP_GOLDEN_DIR) + "/mpp/ckpt_micro.tar";
  write_waves(data, 1, 4, 1);
  const auto refused = [&](const std::string& file, std::vector<std::string> more, int code, const std::string& says) {
    const Ended ended = evaluate(file, scratch / "out", std::move(more));
    INFO(ended.err);
    CHECK(ended.code == code);
    CHECK(ended.err.starts_with("fieldstep: "));
    CHECK_THAT(ended.err, ContainsSubstring(says));
    CHECK(!fs::exists(scratch / "out"));
  };
  const std::string water = sample("pdebench/2D_rdb_NA_NA.h5");
  refused(data, {"--weights", weights}, 2, "GRID 64x64");
  refused(water, {"--weights", weights, "--steps", "1000"}, 2, "the file goes on for");
  refused(water, {"--weights", weights, "--metrics", "luck"}, 2, "metric \"luck\"");
  refused(water, {"--weights", weights, "--label", "a,b"}, 2, "--label: found 2");
  refused(water, {"--weights", weights, "--label", "persistence"}, 2, "the baseline");
  refused(water, {"--weights", scratch / "none.safetensors"}, 1, "none.safetensors");
  refused(scratch / "none.npy", {"--weights", weights}, 1, "none.npy");
  refused(water, {"--weights", weights, "--pictured", "9"}, 2, "--pictured: found 9");
}
