#include <fieldstep/blocks/mlp.hpp>
#include <support/drawn_weights.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int tokens = 7;

/// Tokens as the pixels of an image one row high.
template <class Real>
reference::Image image_of(const Arena<Real>& x) {
  return reference::image_of(x, 1, 1, tokens);
}

}  // namespace

TEMPLATE_TEST_CASE("MLP: fc2(gelu(fc1(x)))", "[blocks][mlp]", float, double) {
  using Block = blocks::MLP<TestType, 12>;
  const DrawnWeights<Block, TestType> weights;
  const auto x = drawn<TestType>("x", tokens * 12), y = constant<TestType>(tokens * 12);
  const auto hidden = constant<TestType>(tokens * 48);
  Block::forward(Exec(), weights.weights(), tokens, x.data(), hidden.data(), y.data());
  const auto state = weights.state();
  auto exact = reference::convolution(image_of(x), state["fc1.weight"], 48, 1, state["fc1.bias"]);
  gelu(exact);
  CHECK(relative_l2(in_double(hidden), channels_last(exact)) < rounding<TestType>);
  exact = reference::convolution(exact, state["fc2.weight"], 12, 1, state["fc2.bias"]);
  CHECK(relative_l2(in_double(y), channels_last(exact)) < rounding<TestType>);
}
