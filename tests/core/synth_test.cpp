#include <support/compare.hpp>
#include <support/permute.hpp>
#include <support/synth.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <limits>

using namespace fieldstep::support;

TEST_CASE("synth, smooth: the numbers of their definition in numpy", "[core][synth]") {
  static_assert(fnv1a64("mpp/micro_a/x") == 0x1565d170c394c1e0);
  const std::vector<float> x = synth("mpp/micro_a/x", 6, 0.3, 1.5);
  CHECK(x == std::vector<float>{0x1.6f58b4p-1f, 0x1.ef5becp-2f, -0x1.825a14p-3f, 0x1.9977c0p+0f, -0x1.1c558ap+0f,
                                -0x1.7e28eep-2f});
  const std::vector<float> field = smooth("mpp/full_Ti/x", std::array{2, 3, 16, 24});
  REQUIRE(field.size() == 2304);
  CHECK(field[0] == 0x1.0799bcp+0f);
  CHECK(field[1] == 0x1.6309dap+0f);
  CHECK(field[700] == 0x1.93f45cp+0f);
  CHECK(field[1151] == -0x1.447e16p-2f);
  CHECK(field[2303] == 0x1.9fe4d6p-2f);
}

TEST_CASE("permuted: axes go where their letters say", "[core][permute]") {
  const std::array<float, 6> x{0, 1, 2, 3, 4, 5};
  CHECK(permuted(x.data(), "ab", std::array{2, 3}, "ba") == std::vector<double>{0, 3, 1, 4, 2, 5});
  CHECK(permuted(x.data(), "abc", std::array{1, 2, 3}, "bac") == std::vector<double>{0, 1, 2, 3, 4, 5});
  const std::array<float, 8> y{0, 1, 2, 3, 4, 5, 6, 7};
  CHECK(permuted(y.data(), "btc", std::array{2, 2, 2}, "tcb") == std::vector<double>{0, 4, 1, 5, 2, 6, 3, 7});
  CHECK_THROWS(permuted(x.data(), "ab", std::array{2, 3}, "bc"));
}

TEST_CASE("Report: NaN, a wrong size and an error above the bound fail", "[core][compare]") {
  const std::vector<double> expected{3, 4}, nan{3, std::numeric_limits<double>::quiet_NaN()};
  CHECK(relative_l2(std::vector<double>{3, 4.5}, expected) == 0.1);
  CHECK(relative_l2(std::vector<double>{1}, expected) == std::numeric_limits<double>::infinity());
  CHECK(golden_bound<float>(1e-9, true) == 8 * 2e-7);
  CHECK(golden_bound<float>(1e-6, false) == 8e-6);
  CHECK(golden_bound<double>(1e-6, true) == 1e-9);
  CHECK(golden_bound<double>(1e-6, false) == 6e-8);

  Report holds("float");
  holds.compare("equal", relative_l2(expected, expected), 0);
  holds.not_compared("gradient");
  CHECK(holds.passed());
  Report fails("float");
  fails.compare("equal", 0, 0);
  fails.compare("nan", relative_l2(nan, expected), 1);
  CHECK_FALSE(fails.passed());
  CHECK_FALSE(Report("nothing compared").passed());
}
