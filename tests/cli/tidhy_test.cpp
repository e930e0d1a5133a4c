#include <fieldstep/core/random.hpp>
#include <fieldstep/io/npy.hpp>
#include <fieldstep/io/npz.hpp>
#include <fieldstep/io/safetensors.hpp>
#include <support/program.hpp>
#include <support/scratch_folder.hpp>
#include <support/training_run.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

using Catch::Matchers::ContainsSubstring;
using namespace fieldstep;
using namespace fieldstep::support;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int sequences = 8, times = 15, channels = 12;

/// Points that turn at one of two speeds, seen through 12 channels; the speed is the hidden state.
struct Recording {
  std::vector<float> values, states;

  Recording() {
    for (int s = 0; s < sequences; ++s) {
      double angle = s;
      for (int t = 0; t < times; ++t) {
        const bool fast = (t / 5 + s) % 2 == 1;
        states.push_back(fast);
        for (int c = 0; c < channels; ++c) values.push_back(static_cast<float>(std::cos(angle + .5 * c)));
        angle += fast ? .9 : .2;
      }
    }
  }
  std::string write(const fs::path& path) const {
    io::write_npy(path, values, {sequences, times, channels});
    return path.string();
  }
};

Ended train(const std::string& data, const std::string& output, std::vector<std::string> more = {}) {
  std::vector<std::string> all{"train", "--data", data, "--output", output, "--json"};
  const auto given = [&](const char* name) { return std::ranges::find(more, name) != more.end(); };
  if (!given("--resume") && !given("--model")) all.insert(all.end(), {"--model", "tidhy-slds"});
  if (!given("--epochs")) all.insert(all.end(), {"--epochs", "12"});
  all.insert(all.end(), more.begin(), more.end());
  return run_fieldstep(all);
}

Json json_of(const Ended& ended) {
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  return Json::parse(ended.out);
}

}  // namespace

TEST_CASE("train --model tidhy, evaluate: a recording is learnt and everything inferred is written", "[cli][tidhy]") {
  const ScratchFolder scratch;
  const Recording recording;
  const std::string data = recording.write(scratch / "data.npy"), output = scratch / "run";
  io::write_npy(scratch / "states.npy", recording.states, {sequences, times});
  const Json about =
      json_of(train(data, output,
                    {"--batch", "3", "--epochs", "100", "--lr", "2e-2", "--set", "lr_r=.6", "lr_r2=.3", "max_iter=40",
                     "mixture_bias=.6", "r2_init_std=1", "normalize_spatial=true", "temp_weight=.2"}));
  CHECK(about.at("steps") == 200);  // one of the eight sequences is kept out
  CHECK(about.at("loss") < .6 * about.at("first_loss").get<double>());
  CHECK(about.at("settings").at("mean_over") == 3);

  const std::string weights = output + "/best.safetensors";
  const Json found = json_of(run_fieldstep({"evaluate", "--weights", weights, "--data", data, "--states",
                                            scratch / "states.npy", "--output", scratch / "record", "--json"}));
  CHECK(found.at("sequences") == sequences);
  CHECK(found.at("clusters") == 2);
  CHECK((found.at("accuracy") >= found.at("chance") && found.at("accuracy") <= 1));
  CHECK(found.at("settings").at("lr_r") == .6);
  for (const char* name : {"latents.csv", "mixture.csv", "latents.gp", "reconstruction.png", "evaluate.json"})
    CHECK(fs::file_size(scratch / "record" / name) > 0);
  const io::TensorFile record = io::read_npz(scratch / "record" / "record.npz");
  const auto shape_of = [&](const char* name) { return record.find(name) ? record.find(name)->shape : io::Extents{}; };
  CHECK(shape_of("I_hat") == io::Extents{sequences, times, channels});
  CHECK(shape_of("Ut") == io::Extents{sequences, times, 4, 4});
  CHECK(shape_of("states") == io::Extents{sequences, times - 1});

  const Ended info = run_fieldstep({"info", weights});
  CHECK_THAT(info.out, ContainsSubstring("TiDHy (R 4, Q 2, M 3, D 12, H 32)"));
  CHECK_THAT(run_fieldstep({"info", "tidhy-slds", "--params"}).out, ContainsSubstring("hypernet"));
}

TEST_CASE("train --model tidhy: goes on bit for bit; seeds side by side are those one by one", "[cli][tidhy]") {
  const ScratchFolder scratch;
  const std::string data = Recording().write(scratch / "data.npy");
  const auto weights = [&](const std::string& run) { return training_tensors(scratch / run); };
  const std::vector<std::string> stateful{"--batch", "3", "--set", "stateful=true", "r2_init_std=.1"};
  json_of(train(data, scratch / "whole", stateful));
  std::vector<std::string> half = stateful;
  half.insert(half.end(), {"--epochs", "6", "--schedule", "constant"});
  std::vector<std::string> whole = stateful;
  whole.insert(whole.end(), {"--epochs", "12", "--schedule", "constant"});
  json_of(train(data, scratch / "constant", whole));
  json_of(train(data, scratch / "resumed", half));
  json_of(train(data, scratch / "resumed", {"--resume", "--epochs", "12"}));
  CHECK(weights("resumed") == weights("constant"));
  CHECK(weights("constant") != weights("whole"));

  REQUIRE(train(data, scratch / "seeds", {"--seeds", "0,1,2", "--threads", "2"}).code == 0);
  for (const char* seed : {"0", "1", "2"}) {
    json_of(train(data, scratch / (std::string("alone_") + seed), {"--seed", seed}));
    CHECK(weights(std::string("seeds/seed_") + seed) == weights(std::string("alone_") + seed));
  }
}

TEST_CASE("train --model tidhy: recordings in text, cut and standardised", "[cli][tidhy]") {
  const ScratchFolder scratch;
  const Recording recording;
  const std::string path = scratch / "data.csv";
  {
    std::ofstream file(path);
    for (int row = 0; row < 100; ++row)
      for (int c = 0; c < channels; ++c)
        file << 5 + recording.values[static_cast<std::size_t>(row * channels + c)] << (c + 1 < channels ? "," : "\n");
  }
  const Json about =
      json_of(train(path, scratch / "run", {"--window", "20", "--stride", "10", "--standardise", "--epochs", "2"}));
  CHECK_THAT(about.at("data").get<std::string>(),
             ContainsSubstring("8 to train on and 1 to validate on, standardised"));
  const std::string weights = scratch / "run" / "last.safetensors";
  CHECK(io::read_safetensors(weights).metadata.contains("fieldstep.standardisation"));
  const Json found = json_of(run_fieldstep({"evaluate", "--weights", weights, "--data", path, "--window", "50",
                                            "--output", scratch / "record", "--format", "npy", "--json"}));
  CHECK((found.at("sequences") == 2 && found.at("time") == 50));
  CHECK(fs::exists(scratch / "record" / "R_hat.npy"));
}

TEST_CASE("train --model tidhy: mistakes get a sentence", "[cli][tidhy]") {
  const ScratchFolder scratch;
  Recording recording;
  const std::string data = recording.write(scratch / "data.npy"), run = scratch / "run";
  const auto refused = [&](const Ended& ended, int code, const char* sentence) {
    CHECK(ended.code == code);
    CHECK_THAT(ended.err, ContainsSubstring(sentence));
    CHECK(!fs::exists(run));
  };
  refused(train(data, run, {"--set", "lr=3"}), 2, "wanted NAME=VALUE with one of lr_r, lr_r2");
  refused(train(data, run, {"--set", "max_iter=0"}), 2, "max_iter: found 0");
  refused(train(data, run, {"--set", "stateful=1"}), 2, "wanted true or false");
  refused(train(data, run, {"--batch", "9"}), 2, "--batch: found 9, there are 7 sequences");
  refused(train(data, run, {"--model", "tidhy-none"}), 2, "found no tidhy-none for 12 channels");
  refused(train(data, run, {"--method", "sup;2"}), 2, "--method: is nothing that TiDHy has");
  refused(train(data, run, {"--window", "16"}), 2, "16");
  refused(train(data, run, {"--model", "tidhy-counts"}), 2, "found a count of -");
  recording.values[77] = NAN;
  refused(train(recording.write(scratch / "nan.npy"), run), 1, "nan.npy");
  std::vector<float> wide(2 * 15 * 13);
  io::write_npy(scratch / "wide.npy", wide, {2, 15, 13});
  refused(train(scratch / "wide.npy", run), 2, "for 13 channels");

  REQUIRE(train(data, run, {"--epochs", "1"}).code == 0);
  const std::string weights = run + "/last.safetensors";
  const auto evaluate = [&](std::vector<std::string> more) {
    std::vector<std::string> all{"evaluate", "--weights", weights, "--output", scratch / "record"};
    all.insert(all.end(), more.begin(), more.end());
    return run_fieldstep(all);
  };
  const auto says = [&](const Ended& ended, const char* sentence) {
    CHECK(ended.code != 0);
    CHECK_THAT(ended.err, ContainsSubstring(sentence));
    CHECK(!fs::exists(scratch / "record"));
  };
  says(evaluate({"--data", scratch / "wide.npy"}), "has 13 channels");
  says(evaluate({"--data", data, "--pictured", "8"}), "--pictured: found 8");
  says(evaluate({"--data", data, "--states", data}), "states, wanted one for each of the 120 times");
  says(evaluate({"--data", data, "--state-lag", "15"}), "--state-lag: found 15");
}
