#include <fieldstep/blocks/layer_norm.hpp>
#include <support/drawn_weights.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int rows = 5, channels = 12;

}  // namespace

TEMPLATE_TEST_CASE("LayerNorm: agrees with its formula, with either eps", "[blocks][layer_norm]", float, double) {
  using Norm = blocks::LayerNorm<TestType, channels>;
  const DrawnWeights<Norm, TestType> weights;
  for (const double eps : {1e-5, 1e-6}) {
    const auto x = drawn<TestType>("x", rows * channels, 0, .01), y = drawn<TestType>("x", rows * channels, 0, .01);
    Norm::forward(Exec(), weights.weights(), Batched<TestType, channels>(y.data(), rows), eps);
    Numbers exact;
    for (int r = 0; r < rows; ++r) {
      // The same as the norm of one head of which q, k and v have these channels.
      reference::Image head{1, 3 * channels, 1, 1};
      for (int c = 0; c < channels; ++c) head(0, c, 0, 0) = static_cast<double>(x.data()[r * channels + c]);
      layer_norm_heads(head, 1, 0, weights.state()["weight"], weights.state()["bias"], eps);
      exact.insert(exact.end(), head.values.begin(), head.values.begin() + channels);
    }
    CHECK(relative_l2(in_double(y), exact) < rounding<TestType>);
  }
}
