#include <fieldstep/blocks/linear.hpp>
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

TEMPLATE_TEST_CASE("Linear: x W + bias with PyTorch's weight", "[blocks][linear]", float, double) {
  using Block = blocks::Linear<TestType, 12, 29>;
  const DrawnWeights<Block, TestType> weights;
  const auto x = drawn<TestType>("x", tokens * 12), y = constant<TestType>(tokens * 29);
  Block::forward(Exec(), weights.weights(), Batched<const TestType, 12>(x.data(), tokens),
                 Batched<TestType, 29>(y.data(), tokens));
  const auto exact = reference::convolution(image_of(x), weights.state()["weight"], 29, 1, weights.state()["bias"]);
  CHECK(relative_l2(in_double(y), channels_last(exact)) < rounding<TestType>);
}

TEST_CASE("QkvLinear: the original's channels head by head come out part by part", "[blocks][linear]") {
  constexpr int dim = 12, heads = 3, d = dim / heads;
  using Block = blocks::QkvLinear<double, dim, heads>;
  const DrawnWeights<Block, double> weights;
  const auto x = drawn<double>("x", tokens * dim), y = constant<double>(tokens * 3 * dim);
  Block::forward(Exec(), weights.weights(), Batched<const double, dim>(x.data(), tokens),
                 Batched<double, 3 * dim>(y.data(), tokens));
  const auto p = reference::convolution(image_of(x), weights.state()["weight"], 3 * dim, 1, weights.state()["bias"]);
  Numbers exact;
  for (int token = 0; token < tokens; ++token)
    for (int part = 0; part < 3; ++part)
      for (int head = 0; head < heads; ++head)
        for (int c = 0; c < d; ++c) exact.push_back(p(0, (head * 3 + part) * d + c, 0, token));
  CHECK(relative_l2(in_double(y), exact) < rounding<double>);
}
