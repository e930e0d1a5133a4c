#include <fieldstep/blocks/log_position_bias.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_scot.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

TEMPLATE_TEST_CASE_SIG("LogPositionBias: agrees with its formula, in windows of training or of other sizes",
                       "[blocks][log_position_bias]", ((int Heads, int Window, int Trained), Heads, Window, Trained),
                       (3, 4, 0), (1, 2, 0), (2, 7, 0), (2, 4, 8), (2, 8, 3)) {
  const auto check = [](auto zero) {
    using Real = decltype(zero);
    using Bias = blocks::LogPositionBias<Real, Heads, Window, Trained>;
    const DrawnWeights<Bias, Real> weights;
    const auto table = constant<Real>(Heads * Bias::side * Bias::side);
    Bias::table(Exec(), weights.weights(), table.data());
    CHECK(relative_l2(in_double(table), reference::log_position_bias(weights.state(), Heads, Window, Trained)) <
          rounding<Real>);
  };
  check(0.f);
  check(0.);
}

TEST_CASE("LogPositionBias: coordinates are the original's float32", "[blocks][log_position_bias]") {
  using Bias = blocks::LogPositionBias<double, 1, 16>;
  CHECK(Bias::coordinate(0) == 0);
  CHECK(Bias::coordinate(15) == std::log2(9.f) / 3);
  CHECK(Bias::coordinate(-15) == -Bias::coordinate(15));
  // A coordinate computed in double is another number: the original rounds after every step.
  CHECK(static_cast<double>(Bias::coordinate(4)) != std::log2(4. / 15 * 8 + 1) / 3);
}
