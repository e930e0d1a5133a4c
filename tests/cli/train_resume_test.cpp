#include <support/training_run.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

using Catch::Matchers::ContainsSubstring;
using namespace fieldstep;
using namespace fieldstep::support;

namespace {

namespace fs = std::filesystem;

const std::string flow = FIELDSTEP_SAMPLE_DIR "/poseidon/NS-PwC.nc";

/// Steps of two minibatches, with validations and checkpoints in between. On one thread, so that it does not wait for
/// others on a busy machine.
std::vector<std::string> words(const std::string& output, const std::string& steps,
                               std::vector<std::string> more = {}) {
  std::vector<std::string> all{"train",
                               "--model",
                               "poseidon-tiny",
                               "--data",
                               flow,
                               "--output",
                               output,
                               "--steps",
                               steps,
                               "--batch",
                               "2",
                               "--accumulate",
                               "2",
                               "--validate-every",
                               "7",
                               "--checkpoint-every",
                               "3",
                               "--threads",
                               "1",
                               "--optimizer",
                               "dadapt-adan"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

void pause_for(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

bool wait_for(const fs::path& path) {
  for (int i = 0; i < 3000; ++i) {
    if (fs::exists(path)) return true;
    pause_for(.01);
  }
  return false;
}

/// The log without its times.
std::vector<nlohmann::json> log_of(const fs::path& folder) {
  std::vector<nlohmann::json> all;
  std::istringstream text(text_of(folder / "log.jsonl"));
  for (std::string line; std::getline(text, line);) {
    all.push_back(nlohmann::json::parse(line));
    all.back().erase("seconds");
  }
  return all;
}

void check_equal(const fs::path& a, const fs::path& b) {
  CHECK(training_tensors(a) == training_tensors(b));
  CHECK(text_of(a / "best.safetensors") == text_of(b / "best.safetensors"));
  CHECK(log_of(a) == log_of(b));
}

}  // namespace

TEST_CASE("train.resume: killed at random times, a run ends with the bits of one that was not", "[cli][train]") {
  const ScratchFolder scratch;
  REQUIRE(Running(words(scratch / "whole", "60")).wait() == 0);
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(Running(words(scratch / "timed", "60")).wait() == 0);
  const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  check_equal(scratch / "whole", scratch / "timed");

  const unsigned seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  int killed = 0;
  for (int starts = 0, code = -1; code != 0; ++starts) {
    REQUIRE(starts < 100);
    const Running run(words(scratch / "killed", "60", {"--resume"}));
    if (killed < 8) {
      pause_for(std::uniform_real_distribution(0., .8 * whole)(random));
      run.signal(SIGKILL);
    }
    code = run.wait();
    REQUIRE((code == 0 || code == -SIGKILL));
    killed += code == 0 ? 0 : 1;
  }
  CHECK(killed > 0);
  check_equal(scratch / "whole", scratch / "killed");
  for (const fs::directory_entry& entry : fs::directory_iterator(scratch / "killed"))
    CHECK(!entry.path().filename().string().starts_with("."));  // what was half written is cleared away
}

TEST_CASE("train.resume: Ctrl-C ends a run behind a step, and it goes on with its own options", "[cli][train]") {
  const ScratchFolder scratch;
  REQUIRE(Running(words(scratch / "whole", "40")).wait() == 0);
  const std::string script = "cd " + scratch.path().string() + " || exit 9; " + FIELDSTEP_PROGRAM +
                             " \"$@\" 2>err & child=$!; for i in $(seq 3000); do [ \"$(wc -l < ended/log.jsonl "
                             "2>/dev/null || echo 0)\" -ge 5 ] && break; sleep 0.01; done; kill -TERM $child; "
                             "wait $child; echo $?";
  std::vector<std::string> command{"sh", "-c", script, "sh"};
  for (const std::string& word : words("ended", "40", {"--quiet"})) command.push_back(word);
  const Ended ended = run(command);
  CHECK(ended.out == "143\n");
  const std::string said = text_of(scratch / "err");
  CHECK_THAT(said, ContainsSubstring("fieldstep: interrupted after step ") && ContainsSubstring("--resume goes on"));
  const std::size_t steps = log_of(scratch / "ended").size();
  CHECK((steps >= 5 && steps < 40));
  CHECK(fs::exists(scratch / "ended/loss.csv"));

  const Ended resumed = run_fieldstep({"train", "--resume", "--threads", "1", "--output", scratch / "ended"});
  INFO(resumed.err);
  REQUIRE(resumed.code == 0);
  CHECK_THAT(resumed.out, ContainsSubstring("going on behind step " + std::to_string(steps)));
  check_equal(scratch / "whole", scratch / "ended");
}

TEST_CASE("train.resume: what another run left is refused", "[cli][train]") {
  const ScratchFolder scratch;
  const std::string output = scratch / "run";
  REQUIRE(Running(words(output, "3")).wait() == 0);
  const auto refused = [&](std::vector<std::string> more, int code, const std::string& says) {
    more.insert(more.begin(), {"train", "--resume", "--threads", "1", "--output", output});
    const Ended ended = run_fieldstep(more);
    INFO(ended.err);
    CHECK(complained(ended, code));
    CHECK_THAT(ended.err, ContainsSubstring(says));
  };
  refused({"--optimizer", "lion"}, 1, "optimizer of the checkpoint is 'dadapt-adan', wanted 'lion'");
  refused({"--seed", "5"}, 1, "of the checkpoint is ");
  refused({"--batch", "3"}, 1, "batch of the checkpoint is '2 x 2', wanted '3 x 2'");
  refused({"--data", FIELDSTEP_SAMPLE_DIR "/poseidon/ACE.nc"}, 1, "of the checkpoint is ");
  refused({"--data", flow, flow}, 1, "data of the checkpoint is ");
  const Ended longer =
      run_fieldstep({"train", "--resume", "--threads", "1", "--output", output, "--steps", "5", "--quiet"});
  CHECK(longer.code == 0);
  CHECK(log_of(output).size() == 5);
  const Ended done = run_fieldstep({"train", "--resume", "--threads", "1", "--output", output});
  CHECK(done.code == 0);
  CHECK_THAT(done.err, ContainsSubstring("all 5 steps are made"));

  const std::string good = text_of(scratch / "run/last.safetensors");
  std::ofstream(scratch / "run/last.safetensors", std::ios::binary) << good.substr(0, good.size() / 2);
  refused({}, 1, "last.safetensors: ");
}

TEST_CASE("train.resume: a full disk or a lost folder leaves the last good checkpoint", "[cli][train]") {
  const ScratchFolder scratch;
  const std::string output = scratch / "run";
  REQUIRE(Running(words(output, "3")).wait() == 0);
  const auto good = training_tensors(output);
  // No file may grow beyond 64 KiB.
  std::string command = "trap '' XFSZ; ulimit -f 128; exec " + std::string(FIELDSTEP_PROGRAM) +
                        " train --resume --threads 1 --steps 9 --output " + output;
  const Ended full = run({"sh", "-c", command});
  INFO(full.err);
  CHECK(full.code == 1);
  CHECK_THAT(full.err, ContainsSubstring("cannot be written"));
  CHECK(training_tensors(output) == good);

  const Running run(words(scratch / "lost", "100000"));
  REQUIRE(wait_for(scratch / "lost/last.safetensors"));
  fs::rename(scratch / "lost", scratch / "found");
  CHECK(run.wait() == 1);
  CHECK(!training_tensors(scratch / "found").empty());
}
