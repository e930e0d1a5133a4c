#include <fieldstep/blocks/drop_path.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;

TEST_CASE("drop_path: rates grow linearly from zero to the last block's", "[blocks][drop_path]") {
  CHECK(blocks::drop_path_rate(0.2, 0, 12) == 0);
  CHECK(blocks::drop_path_rate(0.2, 11, 12) == 0.2);
  CHECK(blocks::drop_path_rate(0.5, 1, 3) == 0.25);
  CHECK(blocks::drop_path_rate(0.2, 0, 1) == 0);
}

TEST_CASE("drop_path: flags of frames are shared by the batch, flags of all are the original's order",
          "[blocks][drop_path]") {
  std::array<double, 6> factors{};
  const std::array<int, 3> shared{1, 0, 1};
  blocks::keep_factors(std::span<const int>(shared), 2, 3, 0.5, factors.data());
  CHECK(factors == std::array<double, 6>{2, 0, 2, 2, 0, 2});
  const std::array<int, 6> own{1, 0, 0, 1, 1, 1};  // t * batch + b
  blocks::keep_factors(std::span<const int>(own), 2, 3, 0.5, factors.data());
  CHECK(factors == std::array<double, 6>{2, 0, 2, 0, 2, 2});
  blocks::keep_factors(std::span<const int>(shared), 2, 3, 0.0, factors.data());
  CHECK(factors == std::array<double, 6>{1, 1, 1, 1, 1, 1});
  CHECK_THROWS_AS(blocks::keep_factors(std::span<const int>(own).first(4), 2, 3, 0.5, factors.data()), Error);
}
