#include <fieldstep/blocks/continuous_position_bias.hpp>
#include <support/drawn_weights.hpp>
#include <support/gradient.hpp>
#include <support/reference_avit.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace fieldstep;
using namespace fieldstep::support;
using blocks::Boundary;

namespace {

template <class Real, int Heads>
using Bias = blocks::ContinuousPositionBias1D<Real, Heads>;

}  // namespace

TEMPLATE_TEST_CASE_SIG("ContinuousPositionBias1D: agrees with its formula on open and periodic axes",
                       "[blocks][continuous_position_bias]", ((int Length, int Heads), Length, Heads), (2, 3), (3, 1),
                       (6, 3), (8, 2)) {
  const DrawnWeights<Bias<double, Heads>, double> weights;
  const auto bias = constant<double>(Heads * Length * Length);
  for (const bool periodic : {false, true}) {
    if (periodic && Length % 2 != 0) continue;
    Bias<double, Heads>::template table<Length>(weights.weights(), periodic ? Boundary::periodic : Boundary::open,
                                                bias.data());
    CHECK(relative_l2(in_double(bias), reference::continuous_bias(weights.state(), Heads, Length, periodic)) <
          rounding<double>);
  }
}

TEST_CASE("ContinuousPositionBias1D: in float to float's rounding", "[blocks][continuous_position_bias]") {
  const DrawnWeights<Bias<float, 3>, float> weights;
  const auto bias = constant<float>(3 * 8 * 8);
  Bias<float, 3>::table<8>(weights.weights(), Boundary::open, bias.data());
  CHECK(relative_l2(in_double(bias), reference::continuous_bias(weights.state(), 3, 8, false)) < rounding<float>);
}

TEST_CASE("ContinuousPositionBias1D: an odd periodic axis and a single point are refused",
          "[blocks][continuous_position_bias]") {
  const DrawnWeights<Bias<float, 2>, float> weights;
  float bias[2 * 5 * 5];
  const auto message = [&](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      CHECK(error.fault() == Fault::usage);
      return error.what();
    }
    return "";
  };
  CHECK(message([&] { Bias<float, 2>::table<5>(weights.weights(), Boundary::periodic, bias); }) ==
        "ContinuousPositionBias1D: found a periodic axis of 5 points; wanted an even number");
  for (const Boundary boundary : {Boundary::open, Boundary::periodic})
    CHECK(message([&] { Bias<float, 2>::table<1>(weights.weights(), boundary, bias); }) ==
          "ContinuousPositionBias1D: an axis of one point has no distances; wanted at least two");
  CHECK(message([&] { Bias<float, 2>::table<5>(weights.weights(), Boundary::open, bias); }).empty());
}

TEMPLATE_TEST_CASE_SIG("ContinuousPositionBias1D: its gradients agree with central differences",
                       "[blocks][continuous_position_bias][gradient]", ((int Length, int Heads), Length, Heads), (2, 3),
                       (3, 1), (6, 3)) {
  using Block = Bias<double, Heads>;
  using Params = typename Block::template Params<double>;
  constexpr std::size_t count = Heads * Length * Length;
  const Numbers dbias = in_double(drawn<double>("dbias", count));
  const auto memory = drawn<double>("weights", arena_count<Params>(), 0, .3);
  for (const Boundary boundary : {Boundary::open, Boundary::periodic}) {
    if (boundary == Boundary::periodic && Length % 2 != 0) continue;
    const auto table = [&](const Numbers& weights) {
      Numbers bias(count);
      Block::template table<Length>(bind<typename Block::Weights>(weights.data()), boundary, bias.data());
      return bias;
    };
    const Numbers weights = in_double(memory);
    Numbers gradient(weights.size(), -2);
    Block::template backward<Length>(bind<typename Block::Weights>(weights.data()), boundary, dbias.data(),
                                     bind<Params>(gradient.data()));
    Numbers expected = central_differences(table, weights, dbias, 1e-5);  // small: relu has a kink
    for (double& d : expected) d -= 2;                                    // what was there
    CHECK(relative_l2(gradient, expected) < 1e-9);
  }
}
