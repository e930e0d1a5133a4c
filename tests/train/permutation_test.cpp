#include <fieldstep/train/permutation.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <fieldstep/core/error.hpp>
#include <vector>

using namespace fieldstep;

namespace {

std::vector<std::int32_t> samples_of(const train::Minibatch& minibatch) {
  return {minibatch.samples.begin(), minibatch.samples.end()};
}

}  // namespace

TEST_CASE("PermutationMixer: every epoch has each sample once, in another order", "[train][permutation][property]") {
  train::PermutationMixer mixer(10, 8, 3, make_key(5));
  CHECK(mixer.per_epoch() == 4);
  CHECK(mixer.epochs() == 2);
  std::vector<std::vector<std::int32_t>> epochs(2);
  for (long i = 0; i < 8; ++i) {
    const train::Minibatch minibatch = mixer(i);
    CHECK(minibatch.samples.size() == (minibatch.batch == 3 ? 1u : 3u));
    CHECK(minibatch.epoch == i / 4);
    auto& epoch = epochs[static_cast<std::size_t>(minibatch.epoch)];
    epoch.insert(epoch.end(), minibatch.samples.begin(), minibatch.samples.end());
  }
  CHECK(epochs[0] != epochs[1]);
  for (auto& epoch : epochs) {
    std::ranges::sort(epoch);
    for (std::int32_t i = 0; i < 10; ++i) CHECK(epoch[static_cast<std::size_t>(i)] == i);
  }
}

TEST_CASE("PermutationMixer: a minibatch does not depend on those asked for before", "[train][permutation]") {
  train::PermutationMixer in_order(7, 40, 2, make_key(1)), resumed(7, 40, 2, make_key(1));
  std::vector<std::vector<std::int32_t>> all;
  for (long i = 0; i < 40; ++i) all.push_back(samples_of(in_order(i)));
  for (const long i : {37L, 11L, 12L, 3L, 39L, 0L}) CHECK(samples_of(resumed(i)) == all[static_cast<std::size_t>(i)]);
}

TEST_CASE("PermutationMixer: more samples asked for than there are give the whole set", "[train][permutation]") {
  train::PermutationMixer mixer(5, 4, 8, make_key(2));
  CHECK(mixer.batch_size() == 5);
  CHECK(mixer(3).samples.size() == 5);
}

TEST_CASE("PermutationMixer: minibatches beyond the run are refused", "[train][permutation]") {
  train::PermutationMixer mixer(5, 4, 2, make_key(2));
  CHECK_THROWS_AS(mixer(4), Error);
  CHECK_THROWS_AS(mixer(-1), Error);
  CHECK_THROWS_AS(train::PermutationMixer(0, 4, 2, Key()), Error);
  CHECK_THROWS_AS(train::PermutationMixer(5, 4, 0, Key()), Error);
}
