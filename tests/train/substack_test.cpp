#include <fieldstep/train/substack.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using train::Window;

TEST_CASE("SubStacker: overlapping windows, one trajectory after the other", "[train][substack]") {
  const train::SubStacker stacker(2, 5, 3);
  REQUIRE(stacker.size() == 6);
  CHECK(stacker(0) == Window{0, 0, 3});
  CHECK(stacker(2) == Window{0, 2, 3});
  CHECK(stacker(3) == Window{1, 0, 3});
}

TEST_CASE("SubStacker: windows that no trajectory has are refused", "[train][substack]") {
  CHECK_THROWS_AS(train::SubStacker(2, 5, 6), Error);
  CHECK_THROWS_AS(train::SubStacker(2, 5, 6, {.overlapping = false}), Error);  // cut short in the original
  CHECK_THROWS_AS(train::SubStacker(2, 5, 0), Error);
  CHECK_THROWS_AS(train::SubStacker(0, 5, 1), Error);
}
