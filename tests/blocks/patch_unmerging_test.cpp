#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/patch_unmerging.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_scot.hpp>
#include <support/threads.hpp>
#include <support/token_grid.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 2, dim = 24;

/// To a grid of Rows x Columns.
template <class Real, class Norm, int Rows, int Columns>
void check_case(bool conditioned) {
  using Block = blocks::PatchUnmerging<Real, Norm, dim, Rows, Columns>;
  const DrawnWeights<Block, Real> weights;
  const TokenGrid<Real, samples, Block::rows, Block::columns, dim> grid;
  const auto x = grid.x();
  const std::size_t size = std::size_t{samples} * Rows * Columns * dim / 2;
  const auto y = drawn<Real>("y", size), serial = drawn<Real>("y", size), before = drawn<Real>("y", size);
  for (const auto& [exec, to] : {std::pair(Exec(), y.data()), std::pair(one_thread(), serial.data())}) {
    const auto memory = constant<Real>(2 * grid.size + size);
    Block::forward(exec, weights.weights(), samples, grid.time.data(), x.data(), to, memory.data(), grid.affine.data());
  }
  const auto exact =
      added(reference::image_of(before, samples, Rows, Columns),
            reference::patch_unmerging(weights.state(), reference::image_of(x, samples, Block::rows, Block::columns),
                                       conditioned ? in_double(grid.time) : Numbers{}, Rows, Columns));
  INFO(Rows << "x" << Columns);
  CHECK(relative_l2(in_double(y), channels_last(exact)) < rounding<Real>);
  CHECK(same_bits(y, serial));
}

}  // namespace

TEMPLATE_TEST_CASE("PatchUnmerging: adds to a grid twice as fine, cut where that is odd; equal bits for any threads",
                   "[blocks][patch_unmerging]", float, double) {
  using Conditional = blocks::ConditionalLayerNorm<TestType, dim / 2>;
  check_case<TestType, Conditional, 4, 6>(true);
  check_case<TestType, Conditional, 5, 6>(true);
  check_case<TestType, Conditional, 4, 7>(true);
  check_case<TestType, Conditional, 1, 3>(true);
  check_case<TestType, blocks::LayerNorm<TestType, dim / 2>, 5, 3>(false);
}
