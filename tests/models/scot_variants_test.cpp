#include <fieldstep/models/scot.hpp>
#include <support/workspace_plan.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

using namespace fieldstep;
using models::ScOT, models::PoseidonT, models::PoseidonS, models::PoseidonB, models::PoseidonL;

namespace {

template <class Config>
using Net = ScOT<Config, Grid<1, 128, 128, 4>>;

struct TinyAt64 : models::ScotDefaults {
  static constexpr int embed_dim = 4, window = 8, image_size = 64;
  static constexpr std::array depths{4, 4, 4, 4}, heads{1, 1, 2, 4}, skip_blocks{2, 2, 2, 0};
};

/// Multiply-adds x 2 of the position biases, which the original computes in every step and the library once.
template <class N, int... I>
double bias_flop(std::integer_sequence<int, I...>) {
  const auto layer = [](int window, int heads) { return 2. * (2 * window - 1) * (2 * window - 1) * 512 * (2 + heads); };
  return (0. + ... + (2 * N::template Stage<I>::depth * layer(N::template Stage<I>::window, PoseidonT::heads[I])));
}

/// MFLOP of a forward pass as the original computes it.
template <class Config>
long mflop() {
  using N = Net<Config>;
  const double flop = N::flop(1) + bias_flop<N>(std::make_integer_sequence<int, 4>());
  return std::lround(flop * 1e-6);
}

}  // namespace

TEST_CASE("ScOT: the variants have the original's parameters", "[models][scot]") {
  CHECK(param_count(Net<PoseidonT>::table()) == 20'774'444);
  CHECK(param_count(Net<PoseidonS>::table()) == 39'901'076);
  CHECK(param_count(Net<PoseidonB>::table()) == 157'729'988);
  CHECK(param_count(Net<PoseidonL>::table()) == 628'575'524);
  CHECK(Net<PoseidonT>::table().size() == 844);
  CHECK(Net<PoseidonS>::table().size() == 1580);
  CHECK(Net<PoseidonB>::table().size() == 1580);
  CHECK(Net<PoseidonL>::table().size() == 1580);
}

TEST_CASE("ScOT: parameters depend neither on the grid nor on the window", "[models][scot]") {
  const ParamTable one = Net<PoseidonT>::table(), other = ScOT<PoseidonT, Grid<1, 64, 256, 4>>::table();
  REQUIRE(one.size() == other.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK(one[i].path.view() == other[i].path.view());
    CHECK(one[i].offset == other[i].offset);
  }
}

TEST_CASE("ScOT: floating-point operations of a forward pass", "[models][scot]") {
  CHECK(mflop<PoseidonT>() == 2923);
  CHECK(mflop<PoseidonS>() == 5505);
  CHECK(mflop<PoseidonB>() == 18563);
  CHECK(mflop<PoseidonL>() == 68205);
  CHECK(Net<PoseidonT>::flop(3) == 3 * Net<PoseidonT>::flop(1));
}

TEMPLATE_TEST_CASE("ScOT: workspace regions that live together never overlap", "[models][scot][property]",
                   (Net<PoseidonT>), (Net<PoseidonL>), (ScOT<PoseidonT, Grid<1, 72, 136, 2>>), (Net<TinyAt64>)) {
  support::check_plan(TestType::plan);
  CHECK(TestType::workspace_size == TestType::plan.count);
}
