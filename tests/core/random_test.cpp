#include <fieldstep/core/random.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

using namespace fieldstep;

namespace {

struct Golden {
  std::string name;
  nlohmann::json values;
  RandomLayout layout;
  Key key;
};

/// jax.random's numbers for several seeds in both layouts, keyed "layout/seed".
std::vector<Golden> goldens() {
  const auto file = nlohmann::json::parse(std::ifstream(std::string(FIELDSTEP_GOLDEN_DIR) + "/trainax/prng.json"));
  std::vector<Golden> all;
  for (const auto& [name, values] : file.at("values").items()) {
    const auto slash = name.find('/');
    all.push_back({name, values, name.starts_with("legacy") ? RandomLayout::legacy : RandomLayout::partitionable,
                   make_key(std::stoull(name.substr(slash + 1)))});
  }
  return all;
}

Key key_of(const nlohmann::json& words) {
  return {words.at(0).get<std::uint32_t>(), words.at(1).get<std::uint32_t>()};
}

}  // namespace

TEST_CASE("random: keys, splits and bits equal jax's in both layouts", "[core][random][golden]") {
  const auto golden = GENERATE(from_range(goldens()));
  CAPTURE(golden.name);
  const auto& [name, values, layout, key] = golden;
  CHECK(key == key_of(values.at("key")));
  for (const std::uint64_t n : {2u, 3u, 5u})
    for (std::uint64_t i = 0; i < n; ++i)
      CHECK(split(key, i, n, layout) == key_of(values.at("split" + std::to_string(n)).at(i)));
  for (const std::uint64_t n : {7u, 8u})
    for (std::uint64_t i = 0; i < n; ++i)
      CHECK(random_bits(key, i, n, layout) == values.at("bits" + std::to_string(n)).at(i).get<std::uint32_t>());
  for (std::uint64_t i = 0; i < 6; ++i)
    CHECK(random_bits(key, i, 6, layout) == values.at("bits_2x3").at(i / 3).at(i % 3).get<std::uint32_t>());
}

TEST_CASE("random: uniforms equal jax's, normals agree to rounding", "[core][random][golden]") {
  const auto golden = GENERATE(from_range(goldens()));
  CAPTURE(golden.name);
  const auto& [name, values, layout, key] = golden;
  for (std::uint64_t i = 0; i < 6; ++i) {
    const std::uint32_t bits = random_bits(key, i, 6, layout);
    CHECK(random_uniform(bits) == values.at("uniform6").at(i).get<float>());
    CHECK_THAT(random_normal(bits), Catch::Matchers::WithinRel(values.at("normal6").at(i).get<float>(), 3e-7f));
  }
  for (std::uint64_t i = 0; i < 5; ++i)
    CHECK(random_uniform(random_bits(key, i, 5, layout), -1, 1) == values.at("uniform_m1_1").at(i).get<float>());
}

TEST_CASE("random: permutations equal jax's, with one and with two rounds of sorting", "[core][random][golden]") {
  const auto golden = GENERATE(from_range(goldens()));
  CAPTURE(golden.name);
  const auto& [name, values, layout, key] = golden;
  CHECK(random_permutation(key, 9, layout) == values.at("permutation9").get<std::vector<std::int32_t>>());
  auto head = random_permutation(key, 2000, layout);
  head.resize(24);
  CHECK(head == values.at("permutation2000_head").get<std::vector<std::int32_t>>());
  CHECK(random_permutation(key, 1, layout) == std::vector<std::int32_t>{0});
  CHECK(random_permutation(key, 0, layout).empty());
}

TEST_CASE("random: the cipher is a constant expression", "[core][random]") {
  static_assert(threefry2x32({0x13198a2e, 0x03707344}, 0x243f6a88, 0x85a308d3) ==
                std::pair<std::uint32_t, std::uint32_t>{0xc4923a9c, 0x483df7a0});  // test vector of the paper's authors
  static_assert(split(make_key(1), 0, 2) != split(make_key(1), 1, 2));
  SUCCEED();
}

TEST_CASE("random: a truncated normal stays within its limit, the longest words included", "[core][random][property]") {
  for (const std::uint32_t bits : {0u, 1u << 9, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    const float draw = random_truncated_normal(bits, 2);
    CHECK(draw > -2);
    CHECK(draw < 2);
  }
  CHECK(random_normal(0) < -5);
  CHECK(random_normal(0xFFFFFFFF) > 5);
}
