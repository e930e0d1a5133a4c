#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/convnext_block.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_scot.hpp>
#include <support/threads.hpp>
#include <support/token_grid.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 2, dim = 12;

template <class Real, class Norm, int Rows, int Columns>
void check_case(bool conditioned, double eps = 1e-5) {
  using Block = blocks::ConvNeXtBlock<Real, Norm, dim, Rows, Columns>;
  const DrawnWeights<Block, Real> weights;
  const TokenGrid<Real, samples, Rows, Columns, dim> grid;
  const auto x = grid.x(), y = grid.x(), serial = grid.x();
  for (const auto& [exec, at] : {std::pair(Exec(), y.data()), std::pair(one_thread(), serial.data())})
    Block::forward(exec, weights.weights(), samples, grid.time.data(), eps, at, at, grid.scratch);
  const auto exact = reference::convnext_block(weights.state(), reference::image_of(x, samples, Rows, Columns),
                                               conditioned ? in_double(grid.time) : Numbers{}, eps);
  INFO(Rows << "x" << Columns);
  CHECK(relative_l2(in_double(y), channels_last(exact)) < rounding<Real>);
  CHECK(same_bits(y, serial));
}

}  // namespace

TEMPLATE_TEST_CASE("ConvNeXtBlock: agrees with its formulas, zeros around the grid; equal bits for any threads",
                   "[blocks][convnext_block]", float, double) {
  using Conditional = blocks::ConditionalLayerNorm<TestType, dim>;
  check_case<TestType, Conditional, 9, 8>(true);
  check_case<TestType, Conditional, 2, 11>(true);  // lower than half the 7x7 kernel
  check_case<TestType, Conditional, 5, 3>(true, 1e-3);
  check_case<TestType, blocks::LayerNorm<TestType, dim>, 4, 7>(false);
}
