#include <support/program.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

using Catch::Matchers::ContainsSubstring;
using namespace fieldstep::support;

TEST_CASE("bench: one line of JSON", "[cli][bench]") {
  const Ended ended =
      run_fieldstep({"bench", "--model", "avit-micro", "--grid", "32x64", "--frames", "2", "--fields", "3", "--batch",
                     "2", "--threads", "1", "--mode", "forward", "--repeat", "2", "--json"});
  REQUIRE(ended.code == 0);
  CHECK(ended.out.find('\n') == ended.out.size() - 1);
  const auto line = nlohmann::json::parse(ended.out);
  CHECK(line.at("family") == "mpp");
  CHECK(line.at("model") == "avit-micro");
  CHECK(line.at("mode") == "forward");
  CHECK(line.at("threads") == 1);
  CHECK(line.at("batch") == 2);
  CHECK(line.at("min_s") > 0);
  CHECK(line.at("median_s") >= line.at("min_s"));
  CHECK(line.at("gflop") > 0);
  CHECK(line.at("share_of_peak") > 0);
  CHECK(line.at("share_of_peak") < 1);
  CHECK(line.at("peak_rss_mib") > line.at("workspace_mib"));
}

TEST_CASE("bench: a step of training and its parts", "[cli][bench]") {
  const auto line_of = [](std::vector<std::string> more) {
    std::vector<std::string> words{"bench",  "--model", "poseidon-tiny", "--grid", "128x128", "--fields", "4",
                                   "--mode", "train",   "--threads",     "1",      "--batch", "2",        "--repeat",
                                   "2",      "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Ended ended = run_fieldstep(words);
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    return nlohmann::json::parse(ended.out);
  };
  const auto kept = line_of({}), again = line_of({"--recompute"});
  CHECK(kept.at("mode") == "train");
  double parts = 0;
  for (const char* part : {"clear_s", "forward_s", "loss_s", "backward_s", "optimizer_s"}) {
    CHECK(kept.at(part) > 0);
    parts += kept.at(part).get<double>();
  }
  CHECK(parts < 2 * kept.at("median_s").get<double>());
  CHECK(again.at("workspace_mib") < kept.at("workspace_mib"));
}

TEST_CASE("bench: what cannot be trained gets a sentence", "[cli][bench]") {
  const Ended ended = run_fieldstep(
      {"bench", "--model", "avit-micro", "--grid", "32x64", "--frames", "2", "--fields", "3", "--mode", "train"});
  CHECK(ended.code == 2);
  CHECK_THAT(ended.err, ContainsSubstring("that can be trained") && ContainsSubstring("TRAINABLE)"));
  CHECK(run_fieldstep({"bench", "--model", "avit-micro", "--recompute"}).code == 2);
}

TEST_CASE("bench: an unlisted model is answered with the list and the line that adds it", "[cli][bench]") {
  const Ended ended =
      run_fieldstep({"bench", "--model", "avit-B", "--grid", "64x96", "--frames", "7", "--fields", "2"});
  CHECK(ended.code == 2);
  CHECK(ended.out.empty());
  CHECK_THAT(ended.err,
             ContainsSubstring("avit-micro") &&
                 ContainsSubstring(
                     "fieldstep_add_model(fieldstep_program FAMILY avit VARIANT B GRID 64x96 FRAMES 7 FIELDS 2)"));
}
