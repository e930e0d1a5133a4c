#include <fieldstep/models/avit.hpp>
#include <fieldstep/models/avit_expand.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>
#include <vector>

namespace {

using namespace fieldstep;

struct Twelve : models::AvitDefaults {
  static constexpr int embed_dim = 32, heads = 2, blocks = 1;
};
struct Fifteen : Twelve {
  static constexpr int states = 15;
};
using Small = models::AViT<Twelve, Grid<1, 32, 32, 2>, double>;
using Large = models::AViT<Fifteen, Grid<1, 32, 32, 2>, double>;

/// What the stem sees: the state columns of labels 3 and 11 and the constant, factor included.
template <class Net>
std::vector<double> bag(const Arena<double>& weights) {
  const auto w = bind<typename Net::Weights>(static_cast<const double*>(weights.data()));
  std::vector<double> numbers(3 * Net::q);
  const int labels[] = {3, 11};
  Net::SpaceBag::gather(w.space_bag, labels, numbers.data(), numbers.data() + 2 * Net::q);
  return numbers;
}

struct Expanded {
  Arena<double> small{Small::arena_size}, large{Large::arena_size};
  explicit Expanded(models::Expansion expansion) {
    initialise(Small::table(), small.data(), make_key(1));
    models::expand_projections<Small, Large>(small.data(), large.data(), make_key(2), expansion);
  }
};

}  // namespace

TEST_CASE("expand_projections: the old function is kept when asked", "[models][avit_expand][property]") {
  const Expanded e(models::Expansion::same_function);
  const auto before = bag<Small>(e.small), after = bag<Large>(e.large);
  for (std::size_t i = 0; i < before.size(); ++i) CHECK_THAT(after[i], Catch::Matchers::WithinRel(before[i], 1e-14));
}

TEST_CASE("expand_projections: as in the original, space_bag's factor grows with the vocabulary",
          "[models][avit_expand]") {
  const Expanded e(models::Expansion::original);
  const auto before = bag<Small>(e.small), after = bag<Large>(e.large);
  for (std::size_t i = 0; i < before.size(); ++i)
    CHECK_THAT(after[i], Catch::Matchers::WithinRel(before[i] * std::sqrt(15.0 / 12.0), 1e-14));
}

TEST_CASE("expand_projections: output kernels of old labels are copied, new ones drawn within the start law's bound",
          "[models][avit_expand]") {
  const Expanded e(models::Expansion::original);
  const auto small = bind<Small::Weights>(static_cast<const double*>(e.small.data()));
  const auto large = bind<Large::Weights>(static_cast<const double*>(e.large.data()));
  const double bound = 1 / std::sqrt(16.0 * 15);
  for (int k = 0; k < Small::q; ++k) {
    for (int state = 0; state < 12; ++state)
      CHECK(large.debed.out_kernel(k, state, 2, 1) == small.debed.out_kernel(k, state, 2, 1));
    for (int state = 12; state < 15; ++state) {
      CHECK(large.debed.out_kernel(k, state, 2, 1) != 0);
      CHECK(std::abs(large.debed.out_kernel(k, state, 2, 1)) <= bound);
    }
  }
  for (int o = 0; o < 32; ++o) CHECK(large.blocks[0].temporal.gamma(o) == small.blocks[0].temporal.gamma(o));
}
