#include <fieldstep/train/trajectories.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <numeric>
#include <vector>

using namespace fieldstep;

TEST_CASE("Trajectories: windows are gathered level by level", "[train][trajectories]") {
  std::vector<int> data(2 * 5 * 2);  // a frame of two numbers
  std::iota(data.begin(), data.end(), 0);
  const train::SubStacker stacker(2, 5, 3);
  std::array<int, 12> memory{};
  const train::Windows windows = train::gather(train::Trajectories<int>{data.data(), 2, 5, 2}, stacker,
                                               std::array<std::int32_t, 2>{4, 1}, memory.data());
  CHECK(windows.snapshots == 3);
  CHECK(windows.samples == 2);
  CHECK(memory == std::array{12, 13, 2, 3, 14, 15, 4, 5, 16, 17, 6, 7});
  CHECK(windows.level(1) == memory.data() + 4);
}

TEST_CASE("Trajectories: a state with a history is several frames that overlap with the next",
          "[train][trajectories]") {
  std::vector<int> data(2 * 4);
  std::iota(data.begin(), data.end(), 0);
  const train::Trajectories<int> all{data.data(), 2, 4, 1, 2};
  REQUIRE(all.states() == 3);
  std::array<int, 4> memory{};
  const train::SubStacker stacker(all.count, all.states(), 2);
  train::gather(all, stacker, std::array<std::int32_t, 1>{3}, memory.data());
  CHECK(memory == std::array{5, 6, 6, 7});
}
