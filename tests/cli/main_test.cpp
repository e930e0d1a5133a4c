#include <support/program.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using Catch::Matchers::ContainsSubstring;
using namespace fieldstep::support;

TEST_CASE("fieldstep: helps, with examples", "[cli][main]") {
  CHECK(run_fieldstep({"--help"}).code == 0);
  for (const char* command : {"info", "convert", "compare", "forecast", "train", "bench"}) {
    const Ended ended = run_fieldstep({command, "--help"});
    CHECK(ended.code == 0);
    CHECK_THAT(ended.out, ContainsSubstring("Example"));
  }
  CHECK_THAT(run_fieldstep({"--version"}).out, ContainsSubstring("."));
}

TEST_CASE("fieldstep: wrong usage is one sentence and exit code 2", "[cli][main]") {
  CHECK(complained(run_fieldstep({}), 2));
  CHECK(complained(run_fieldstep({"dance"}), 2));
  CHECK(complained(run_fieldstep({"bench"}), 2));
  CHECK(complained(run_fieldstep({"bench", "--model", "avit-micro", "--batch", "0"}), 2));
  CHECK(complained(run_fieldstep({"bench", "--model", "avit-micro", "--threads", "many"}), 2));
  CHECK(complained(run_fieldstep({"bench", "--model", "avit-micro", "--mode", "dance"}), 2));
  CHECK(complained(run_fieldstep({"bench", "--model", "avit-micro", "--grid", "128"}), 2));
  CHECK(complained(run_fieldstep({"bench", "--model", "avit-micro", "--grid", "100x128"}), 2));
}

TEST_CASE("fieldstep: what cannot be printed is not passed over", "[cli][main]") {
  const Ended ended = run({"sh", "-c", std::string(FIELDSTEP_PROGRAM) + " info > /dev/full"});
  CHECK(complained(ended, 1));
}
