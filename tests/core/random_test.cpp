#include <fieldstep/core/random.hpp>
#include <support/random_golden.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;

TEST_CASE("random: keys, splits, bits, uniforms and permutations equal jax's in both layouts",
          "[core][random][golden]") {
  CHECK(support::RandomGolden::run(support::Manifest(FIELDSTEP_GOLDEN_DIR "/trainax/prng.json")));
}

TEST_CASE("random: the cipher is a constant expression", "[core][random]") {
  static_assert(threefry2x32({0x13198a2e, 0x03707344}, 0x243f6a88, 0x85a308d3) ==
                Words{0xc4923a9c, 0x483df7a0});  // test vector of the paper's authors
  static_assert(split(make_key(1), 0, 2) != split(make_key(1), 1, 2));
  SUCCEED();
}

TEST_CASE("random: permutations of nothing and of one", "[core][random]") {
  CHECK(random_permutation(make_key(1), 0).empty());
  CHECK(random_permutation(make_key(1), 1) == std::vector<std::int32_t>{0});
}

TEST_CASE("random: the outermost words stay within the limits", "[core][random][property]") {
  for (const std::uint32_t bits : {0u, 1u << 9, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    const float draw = random_truncated_normal(bits, 2);
    CHECK(draw > -2);
    CHECK(draw < 2);
    CHECK(random_uniform(bits, -3, 5) >= -3);
    CHECK(random_uniform(bits, -3, 5) < 5);
  }
  CHECK(random_normal(0) < -5);
  CHECK(random_normal(0xFFFFFFFF) > 5);
}
