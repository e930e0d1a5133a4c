#include <fieldstep/train/set_sampler.hpp>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <set>
#include <utility>
#include <vector>

using namespace fieldstep;

namespace {

using Drawn = std::pair<int, std::vector<std::int32_t>>;

Drawn drawn(const train::Minibatch& minibatch) {
  return {minibatch.set, {minibatch.samples.begin(), minibatch.samples.end()}};
}

}  // namespace

TEST_CASE("SetSampler: an epoch uses up all sets but for what is no whole minibatch",
          "[train][set_sampler][property]") {
  const std::array<std::int32_t, 3> sizes{10, 3, 7};
  train::SetSampler sampler(sizes, 3, 2000, make_key(9));
  REQUIRE(sampler.per_epoch() == 3 + 1 + 2);
  for (long epoch = 0; epoch < 3; ++epoch) {
    std::array<std::set<std::int32_t>, 3> seen;
    for (long b = 0; b < sampler.per_epoch(); ++b) {
      const train::Minibatch minibatch = sampler(epoch * sampler.per_epoch() + b);
      CHECK(minibatch.epoch == epoch);
      CHECK(minibatch.batch == b);
      CHECK(minibatch.samples.size() == 3);
      for (const std::int32_t i : minibatch.samples) {
        CHECK(i < sizes[static_cast<std::size_t>(minibatch.set)]);
        CHECK(seen[static_cast<std::size_t>(minibatch.set)].insert(i).second);  // none twice
      }
    }
    CHECK(seen[0].size() == 9);
    CHECK(seen[1].size() == 3);
    CHECK(seen[2].size() == 6);
  }
}

TEST_CASE("SetSampler: sets come up equally often while all have samples", "[train][set_sampler][property]") {
  const std::array<std::int32_t, 3> sizes{100'000, 3'000, 9'000};
  train::SetSampler sampler(sizes, 1, 1000, make_key(3));
  REQUIRE(sampler.per_epoch() == 1000);
  std::array<int, 3> count{};
  for (long i = 0; i < 3000; ++i) ++count[static_cast<std::size_t>(sampler(i).set)];
  for (const int n : count) CHECK(std::abs(n - 1000) < 100);  // deviation 26
}

TEST_CASE("SetSampler: a minibatch does not depend on those asked for before", "[train][set_sampler]") {
  const std::array<std::int32_t, 2> sizes{8, 5};
  train::SetSampler in_order(sizes, 2, 5, make_key(1)), resumed(sizes, 2, 5, make_key(1));
  std::vector<Drawn> all;
  for (long i = 0; i < 40; ++i) all.push_back(drawn(in_order(i)));
  for (const long i : {37L, 11L, 12L, 14L, 13L, 39L, 0L}) CHECK(drawn(resumed(i)) == all[static_cast<std::size_t>(i)]);
  train::SetSampler other(sizes, 2, 5, make_key(2));
  CHECK(!std::ranges::all_of(all, [&, i = 0L](const Drawn& d) mutable { return drawn(other(i++)) == d; }));
}

TEST_CASE("SetSampler: a set without a single minibatch is refused", "[train][set_sampler]") {
  const std::array<std::int32_t, 2> sizes{8, 1};
  CHECK_THROWS_AS(train::SetSampler(sizes, 2, 5, Key()), Error);
  CHECK_THROWS_AS(train::SetSampler({}, 2, 5, Key()), Error);
  CHECK_THROWS_AS(train::SetSampler(sizes, 1, 5, Key())(-1), Error);
}
