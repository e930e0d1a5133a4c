#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/patch_merging.hpp>
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
void check_case(bool conditioned) {
  using Block = blocks::PatchMerging<Real, Norm, dim, Rows, Columns>;
  const DrawnWeights<Block, Real> weights;
  const TokenGrid<Real, samples, Rows, Columns, dim> grid;
  const auto x = grid.x(), skip = drawn<Real>("skip", grid.size);
  const auto y = constant<Real>(samples * Block::rows * Block::columns * 2 * dim), serial = constant<Real>(y.size());
  for (const auto& [exec, to] : {std::pair(Exec(), y.data()), std::pair(one_thread(), serial.data())})
    Block::forward(exec, weights.weights(), samples, grid.time.data(), x.data(), skip.data(), to, grid.affine.data());
  const auto image = [](const Arena<Real>& tokens) { return reference::image_of(tokens, samples, Rows, Columns); };
  const auto exact = reference::patch_merging(weights.state(), added(image(x), image(skip)),
                                              conditioned ? in_double(grid.time) : Numbers{});
  INFO(Rows << "x" << Columns);
  CHECK(relative_l2(in_double(y), channels_last(exact)) < rounding<Real>);
  CHECK(same_bits(y, serial));
}

}  // namespace

TEMPLATE_TEST_CASE("PatchMerging: joins four neighbours, zeros beyond an odd grid; equal bits for any threads",
                   "[blocks][patch_merging]", float, double) {
  using Conditional = blocks::ConditionalLayerNorm<TestType, 2 * dim>;
  check_case<TestType, Conditional, 4, 6>(true);
  check_case<TestType, Conditional, 5, 6>(true);
  check_case<TestType, Conditional, 4, 3>(true);
  check_case<TestType, Conditional, 7, 1>(true);
  check_case<TestType, blocks::LayerNorm<TestType, 2 * dim>, 5, 3>(false);
}
