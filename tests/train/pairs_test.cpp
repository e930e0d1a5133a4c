#include <fieldstep/train/pairs.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using train::FramePair;

TEST_CASE("AllToAllPairs: Poseidon's 36 pairs of a trajectory", "[train][pairs]") {
  const train::AllToAllPairs pairs(3, 21, {});
  CHECK(pairs.per_trajectory() == 36);
  REQUIRE(pairs.size() == 3 * 36);
  CHECK(pairs(0) == FramePair{0, 0, 0, 0.0f});
  CHECK(pairs(1) == FramePair{0, 0, 2, 0.1f});
  CHECK(pairs(7) == FramePair{0, 0, 14, 0.7f});
  CHECK(pairs(8) == FramePair{0, 2, 2, 0.0f});
  CHECK(pairs(35) == FramePair{0, 14, 14, 0.0f});
  CHECK(pairs(36 + 9) == FramePair{1, 2, 4, 0.1f});
}

TEST_CASE("AllToAllPairs: transitions, other sets' numbers, short trajectories", "[train][pairs]") {
  constexpr std::array one{1};
  const train::AllToAllPairs next(2, 21, {.transitions = one});
  CHECK(next.per_trajectory() == 7);
  for (std::int64_t i = 0; i < next.size(); ++i) CHECK(next(i).to == next(i).from + 2);

  const train::AllToAllPairs tower(1, 11, {.step = 1, .frames_per_unit = 10});
  CHECK(tower.size() == 36);
  CHECK(tower(7) == FramePair{0, 0, 7, 0.7f});

  CHECK(train::AllToAllPairs(1, 4, {}).size() == 3);  // frames 0 and 2
  CHECK(train::AllToAllPairs(1, 1, {}).size() == 1);
  CHECK_THROWS_AS(train::AllToAllPairs(1, 2, {.transitions = one}), Error);
  CHECK_THROWS_AS(train::AllToAllPairs(1, 21, {.step = 0}), Error);
  CHECK_THROWS_AS(train::AllToAllPairs(0, 21, {}), Error);
}
