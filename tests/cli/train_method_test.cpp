#include <support/program.hpp>
#include <support/training_run.hpp>
#include <support/waves.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

using Catch::Matchers::ContainsSubstring;
using namespace fieldstep;
using namespace fieldstep::support;

namespace {

namespace fs = std::filesystem;

const std::string small = "Conv;32;4;relu";

/// A short training over rollouts of a small network.
Ended train(const std::string& data, const std::string& output, std::vector<std::string> more = {}) {
  std::vector<std::string> all{"train", "--data", data, "--output", output};
  const auto given = [&](const char* name) { return std::ranges::find(more, name) != more.end(); };
  const auto unless_given = [&](const char* name, const std::string& value) {
    if (!given(name) && !given("--resume")) all.insert(all.end(), {name, value});
  };
  unless_given("--method", "sup;2");
  unless_given("--batch", "4");
  unless_given("--optimizer", "adam;6;constant;1e-3");
  if (!given("--model")) unless_given("--network", small);
  if (!given("--threads")) all.insert(all.end(), {"--threads", "1"});
  all.insert(all.end(), more.begin(), more.end());
  return run_fieldstep(all);
}

}  // namespace

TEST_CASE("train --method: a small network learns, and what it leaves serves as weights", "[cli][train][method]") {
  const ScratchFolder scratch;
  const std::string data = scratch / "waves.npy", output = scratch / "run";
  write_waves(data, 5, 8, 1);
  const Ended ended = train(data, output,
                            {"--method", "sup;3;true", "--optimizer", "adam;40;warmup_cosine;0.0;2e-3;5",
                             "--validate-every", "20", "--json"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  const auto about = nlohmann::json::parse(ended.out);
  CHECK(about.at("steps") == 40);
  CHECK(about.at("windows") == 4 * 5);  // one of the five simulations is kept out
  CHECK(about.at("loss") < .2 * about.at("first_loss").get<double>());
  CHECK(about.at("best_step") == 40);
  for (const char* name : {"last.safetensors", "best.safetensors", "train.json", "log.jsonl", "loss.csv", "loss.gp"})
    CHECK(fs::file_size(fs::path(output) / name) > 0);

  const Ended forecast = run_fieldstep({"forecast", "--weights", output + "/best.safetensors", "--data", data,
                                        "--steps", "2", "--output", scratch / "forecast", "--json"});
  INFO(forecast.err);
  REQUIRE(forecast.code == 0);
  CHECK(nlohmann::json::parse(forecast.out).at("model") == small);
  const Ended info = run_fieldstep({"info", output + "/last.safetensors"});
  CHECK_THAT(info.out, ContainsSubstring("5 layers, hidden 32, kernel 3, channels 1 -> 1") && ContainsSubstring(small));
}

TEST_CASE("train --method: equal bits for one thread and two, and where a run goes on", "[cli][train][method]") {
  const ScratchFolder scratch;
  const std::string data = scratch / "waves.npy";
  write_waves(data, 3, 5, 2);
  const auto weights = [&](const std::string& name, std::vector<std::string> more) {
    more.emplace_back("--quiet");
    const Ended ended = train(data, scratch / name, more);
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(ended.out + ended.err == "");
    return training_tensors(scratch / name);
  };
  const auto usual = weights("usual", {});
  CHECK(weights("recomputed", {"--recompute"}) == usual);
  CHECK(weights("other", {"--seed", "1"}) != usual);
  CHECK(weights("cut", {"--method", "sup;2;true"}) != usual);
#ifdef KOKKOS_ENABLE_OPENMP
  CHECK(weights("two", {"--threads", "2"}) == usual);
#endif
  weights("parted", {"--steps", "3"});
  CHECK(weights("parted", {"--resume", "--steps", "6"}) == usual);
}

TEST_CASE("train --method: every seed has a run of its own", "[cli][train][method]") {
  const ScratchFolder scratch;
  const std::string data = scratch / "waves.npy";
  write_waves(data, 2, 3, 1);
  const Ended ended =
      train(data, scratch / "runs", {"--seeds", "0,7", "--optimizer", "adam;2;constant;1e-3", "--method", "one"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  CHECK(training_tensors(scratch / "runs/seed_0") != training_tensors(scratch / "runs/seed_7"));
}

TEST_CASE("train --method: a ScOT and an AViT go through rollouts, too", "[cli][train][method]") {
  const ScratchFolder scratch;
  const auto trained = [&](const std::string& model, const std::string& file, const std::string& name) {
    const Ended ended =
        train(FIELDSTEP_SAMPLE_DIR "/" + file, scratch / name,
              {"--model", model, "--batch", "2", "--optimizer", "adamw", "--lr", "1e-3", "--steps", "2", "--json"});
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(nlohmann::json::parse(ended.out).at("model") == model);
  };
  trained("poseidon-tiny", "poseidon/NS-PwC.nc", "scot");
  trained("avit-micro", "pdebench/2D_rdb_NA_NA.h5", "avit");
}

TEST_CASE("train --method: with built-in physics, and a residual network", "[cli][train][method]") {
  const ScratchFolder scratch;
  const std::string data = scratch / "waves.npy";
  write_waves(data, 2, 4, 1);
  int run = 0;
  const auto trained = [&](const std::string& network, const std::string& method, const std::string& reference) {
    const Ended ended = train(
        data, scratch / std::to_string(run++),
        {"--network", network, "--method", method, "--reference", reference, "--optimizer", "adam;2;constant;1e-4"});
    INFO(method << ": " << ended.err);
    CHECK(ended.code == 0);
  };
  trained(small, "div;2;1;true", "vorticity;1e-3;0.02;2");
  trained(small, "mix;1;1", "advection;0.5");
  trained("Res;32;4;relu", "res;2", "diffusion;0.1");
  const Ended info = run_fieldstep({"info", scratch / "2/last.safetensors"});
  CHECK_THAT(info.out, ContainsSubstring("4 residual blocks, hidden 32") && ContainsSubstring("Res;32;4;relu"));
}

TEST_CASE("train --method: a loss that is not finite ends the run, the last good checkpoint stays",
          "[cli][train][method]") {
  const ScratchFolder scratch;
  const std::string data = scratch / "waves.npy";
  write_waves(data, 2, 4, 1);
  const Ended ended = train(data, scratch / "run", {"--optimizer", "sgd;9;constant;1e12"});
  CHECK(ended.code == 1);
  CHECK_THAT(ended.err,
             ContainsSubstring("training: the ") && ContainsSubstring("last.safetensors is as it was after"));
  CHECK(training_tensors(scratch / "run").contains("layers.0.weight"));
}

TEST_CASE("train --method: what cannot be done gets a sentence and leaves nothing", "[cli][train][method]") {
  const ScratchFolder scratch;
  const std::string data = scratch / "waves.npy", out = scratch / "out";
  write_waves(data, 2, 4, 1);
  const auto refused = [&](std::vector<std::string> more, int code, const std::string& says) {
    const Ended ended = train(data, out, std::move(more));
    INFO(ended.err);
    CHECK(ended.code == code);
    CHECK(ended.err.starts_with("fieldstep: "));
    CHECK_THAT(ended.err, ContainsSubstring(says));
    CHECK(!fs::exists(out));
  };
  refused({"--method", "sup;4"}, 1, "has 4 frames, the method needs windows of 5");
  refused({"--method", "sup"}, 2, "method \"sup\": wanted one");
  refused({"--method", "luck;3"}, 2, "method \"luck;3\"");
  refused({"--method", "sup;0"}, 2, "rollout = 0");
  refused({"--method", "div;2"}, 2, "div;2 needs a reference stepper");
  refused({"--method", "res;2"}, 2, "res;2 needs a residuum");
  refused({"--method", "div;2", "--reference", "luck;1"}, 2, "--reference: found luck;1");
  refused({"--method", "res;2", "--reference", "advection;0.5"}, 2, "is no residuum, which res;2 needs");
  refused({"--loss", "luck"}, 2, "--loss: found luck, wanted mse");
  refused({"--loss", "lp"}, 2, "--loss: found lp");
  refused({"--network", "UNet;32;2;relu"}, 2, "wanted Conv;hidden;depth;activation");
  refused({"--network", "Conv;7;4;relu"}, 2, "NETWORK \"Conv;7;4;relu\" GRID 64x64 FIELDS 1)");
  refused({"--optimizer", "adam;10"}, 2, "--optimizer: found adam;10, wanted NAME;UPDATES");
  refused({"--optimizer", "luck;10;constant;1e-3"}, 2, "--optimizer: found luck;10");
  refused({"--optimizer", "adam;10;warmup_cosine;0;1e-3;10"}, 2, "10 updates of warm-up");
  refused({"--optimizer", "adam"}, 2, "--steps");
  refused({"--data-memory", "1e-3"}, 2, "--data-memory allows 0.001");
  // Data that contradict the network, one another, or everything.
  write_waves(scratch / "three.npy", 1, 4, 3);
  refused({"--data", scratch / "three.npy", "--method", "one"}, 2,
          "3 fields on 64x64 points, wanted 4 frames of 1 field");
}
