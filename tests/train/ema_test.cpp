#include <fieldstep/train/ema.hpp>
#include <support/small_parameters.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <string>

using namespace fieldstep;
using namespace fieldstep::support;

static_assert(train::GradientTransformation<train::GradientEma>);

TEMPLATE_TEST_CASE("GradientEma: debiased, the average of one gradient is that gradient", "[train][ema]", float,
                   double) {
  const train::ParameterGroups groups(small_table<TestType>);
  const Numbers g = trained_numbers(small_arena<TestType>("gradient"));
  const TestType* weights = nullptr;
  for (const bool debias : {true, false}) {
    const train::GradientEma ema{.decay = .9, .debias = debias};
    auto state = ema.make_state<TestType>(groups);
    for (long t = 0; t < 3; ++t) {
      const auto gradient = small_arena<TestType>("gradient");
      const double factor = ema.apply(Exec(), groups, t, weights, gradient.data(), state, 2);
      Numbers seen = trained_numbers(gradient), wanted = g;
      for (double& x : seen) x *= factor;
      for (double& x : wanted) x *= 2 * (debias ? 1 : 1 - std::pow(.9, t + 1));
      CHECK(relative_l2(seen, wanted) < rounding<TestType>);
      CHECK(padding_is_zero(gradient));
    }
  }
}

TEMPLATE_TEST_CASE("ParameterEma: follows the weights; what stands still keeps its bits", "[train][ema]", float,
                   double) {
  const auto groups = train::ParameterGroups::everything(small_table<TestType>);
  const auto average = small_arena<TestType>("weights"), start = small_arena<TestType>("weights");
  const train::ParameterEma ema{.step = .1};
  ema.update(Exec(), groups, start.data(), average.data());
  CHECK(same_bits(average, start));

  Numbers wanted = trained_numbers(start);
  for (long t = 0; t < 4; ++t) {
    const auto weights = small_arena<TestType>("weights " + std::to_string(t));
    ema.update(Exec(), groups, weights.data(), average.data());
    const Numbers w = trained_numbers(weights);
    for (std::size_t i = 0; i < w.size(); ++i) wanted[i] = .1 * w[i] + .9 * wanted[i];
  }
  CHECK(relative_l2(trained_numbers(average), wanted) < rounding<TestType>);
  const ParamEntry& buffer = small_table<TestType>[3];
  CHECK(average.data()[buffer.offset] != start.data()[buffer.offset]);
}
