#include <fieldstep/models/avit.hpp>
#include <support/avit_case.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using models::Boundary;

namespace {

constexpr double bound = golden_bound<double>(0, true);

struct Continuous : models::AvitDefaults {
  static constexpr int states = 5, embed_dim = 24, heads = 2, blocks = 2;
  static constexpr models::PositionBias bias = models::PositionBias::continuous;
};
struct NoBias : Continuous {
  static constexpr models::PositionBias bias = models::PositionBias::none;
};

}  // namespace

TEST_CASE("AViT: with the continuous position bias", "[models][avit]") {
  const AvitCase<Continuous, Grid<2, 48, 64, 2>, double> net({.along_x = Boundary::periodic});
  const Numbers exact = net.reference(2);
  CHECK(relative_l2(in_double(net.forward(Exec(), 2)), exact) < bound);
}

TEST_CASE("AViT: the continuous position bias refuses odd periodic axes", "[models][avit][errors]") {
  using Case = AvitCase<Continuous, Grid<2, 48, 64, 2>, double>;
  CHECK_THROWS_AS(Case({.along_y = Boundary::periodic}), Error);
}

TEST_CASE("AViT: without position bias", "[models][avit]") {
  const AvitCase<NoBias, Grid<3, 32, 48, 2>, double> net({});
  const Numbers exact = net.reference(2);
  CHECK(relative_l2(in_double(net.forward(Exec(), 2)), exact) < bound);
}
