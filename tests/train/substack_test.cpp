#include <fieldstep/train/substack.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <numeric>
#include <vector>

using namespace fieldstep;
using train::Window;

TEST_CASE("SubStacker: overlapping windows, one trajectory after the other", "[train][substack]") {
  const train::SubStacker stacker(2, 5, 3);
  REQUIRE(stacker.size() == 6);
  CHECK(stacker(0) == Window{0, 0, 3});
  CHECK(stacker(2) == Window{0, 2, 3});
  CHECK(stacker(3) == Window{1, 0, 3});
  std::vector<int> data(2 * 5 * 2);  // a state of two numbers
  std::iota(data.begin(), data.end(), 0);
  std::array<int, 12> windows{};
  stacker.gather(std::array<std::int32_t, 2>{4, 1}, data.data(), 2, windows.data());
  CHECK(windows == std::array{12, 13, 14, 15, 16, 17, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("SubStacker: windows that no trajectory has are refused", "[train][substack]") {
  CHECK_THROWS_AS(train::SubStacker(2, 5, 6), Error);
  CHECK_THROWS_AS(train::SubStacker(2, 5, 6, {.overlapping = false}), Error);  // cut short in the original
  CHECK_THROWS_AS(train::SubStacker(2, 5, 0), Error);
  CHECK_THROWS_AS(train::SubStacker(0, 5, 1), Error);
}
