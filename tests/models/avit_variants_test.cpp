#include <fieldstep/models/avit.hpp>
#include <support/workspace_plan.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <set>

using namespace fieldstep;
using models::AViT, models::AvitTi, models::AvitS, models::AvitB, models::AvitL;

namespace {

template <class Config>
struct Continuous : Config {
  static constexpr models::PositionBias bias = models::PositionBias::continuous;
};
template <class Config>
struct NoBias : Config {
  static constexpr models::PositionBias bias = models::PositionBias::none;
};

template <class Config, int Frames = 4>
using Net = AViT<Config, Grid<Frames, 128, 128, 3>>;

/// GFLOP of a forward pass, rounded to the digits of the table it is compared with.
template <class N>
double gflop(bool last_step_only, int digits) {
  const double scale = std::pow(10., digits - 1 - std::floor(std::log10(N::flop(1, last_step_only) * 1e-9)));
  return std::round(N::flop(1, last_step_only) * 1e-9 * scale) / scale;
}

}  // namespace

TEST_CASE("AViT: the variants have the original's parameters", "[models][avit]") {
  CHECK(param_count(Net<AvitTi>::table()) == 7'285'884);
  CHECK(param_count(Net<AvitS>::table()) == 28'979'436);
  CHECK(param_count(Net<AvitB>::table()) == 115'608'012);
  CHECK(param_count(Net<AvitL>::table()) == 407'055'628);
  CHECK(Net<AvitTi>::table().size() == 439);
  CHECK(Net<AvitS>::table().size() == 439);
  CHECK(Net<AvitB>::table().size() == 439);
  CHECK(Net<AvitL>::table().size() == 859);
}

TEST_CASE("AViT: the continuous position bias has the original's parameters", "[models][avit]") {
  CHECK(param_count(Net<Continuous<AvitTi>>::table()) == 7'345'020);
}

TEST_CASE("AViT: without position bias a block's two tables are missing", "[models][avit]") {
  CHECK(param_count(Net<AvitTi>::table()) - param_count(Net<NoBias<AvitTi>>::table()) == 2 * 12 * 32 * 3);
}

TEST_CASE("AViT: parameters depend neither on frames nor on fields nor on the grid", "[models][avit]") {
  const ParamTable one = Net<AvitTi>::table(), other = AViT<AvitTi, Grid<1, 32, 16, 2>>::table();
  REQUIRE(one.size() == other.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK(one[i].path.view() == other[i].path.view());
    CHECK(one[i].offset == other[i].offset);
  }
}

TEST_CASE("AViT: floating-point operations of a forward pass", "[models][avit]") {
  CHECK(gflop<Net<AvitTi, 4>>(false, 5) == 4.0863);
  CHECK(gflop<Net<AvitTi, 16>>(false, 5) == 16.458);
  CHECK(gflop<Net<AvitS, 4>>(false, 5) == 16.175);
  CHECK(gflop<Net<AvitS, 16>>(false, 5) == 64.928);
  CHECK(gflop<Net<AvitB, 4>>(false, 5) == 64.362);
  CHECK(gflop<Net<AvitB, 16>>(false, 5) == 257.9);
  CHECK(gflop<Net<AvitL, 4>>(false, 5) == 217.6);
  CHECK(gflop<Net<AvitL, 16>>(false, 5) == 871.61);
  CHECK(gflop<Net<AvitTi, 4>>(true, 4) == 3.843);
  CHECK(gflop<Net<AvitTi, 16>>(true, 5) == 15.232);
  CHECK(gflop<Net<AvitS, 4>>(true, 5) == 15.235);
  CHECK(gflop<Net<AvitS, 16>>(true, 5) == 60.209);
  CHECK(gflop<Net<AvitB, 4>>(true, 5) == 60.669);
  CHECK(gflop<Net<AvitB, 16>>(true, 5) == 239.4);
  CHECK(gflop<Net<AvitL, 4>>(true, 5) == 211.07);
  CHECK(gflop<Net<AvitL, 16>>(true, 5) == 838.89);
  CHECK(Net<AvitTi>::flop(3) == 3 * Net<AvitTi>::flop(1));
}

TEMPLATE_TEST_CASE("AViT: workspace regions that live together never overlap", "[models][avit][property]",
                   (Net<AvitTi>), (Net<AvitB, 16>), (AViT<AvitTi, Grid<1, 32, 16, 2>>)) {
  support::check_plan(TestType::inference_plan);
  CHECK(TestType::workspace_size == TestType::inference_plan.count);
}
