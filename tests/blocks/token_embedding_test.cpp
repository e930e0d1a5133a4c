#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/token_embedding.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_scot.hpp>
#include <support/threads.hpp>
#include <support/token_grid.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 3, channels = 2, dim = 12, patch = 4, rows = 3, columns = 5;

template <class Real, class Norm, bool MaskToken, bool AbsolutePositions>
void check_case(bool conditioned, const std::vector<Real>& masked = {}) {
  using Block = blocks::TokenEmbedding<Real, Norm, channels, dim, patch, rows, columns, MaskToken, AbsolutePositions>;
  const DrawnWeights<Block, Real> weights;
  const TokenGrid<Real, samples, rows, columns, dim> grid;
  const auto x = drawn<Real>("x", samples * channels * rows * columns * patch * patch);
  const auto y = grid.unwritten(), serial = grid.unwritten();
  for (const auto& [exec, to] : {std::pair(Exec(), y.data()), std::pair(one_thread(), serial.data())})
    Block::forward(exec, weights.weights(), samples, grid.time.data(), x.data(), to, grid.affine.data(),
                   masked.empty() ? nullptr : masked.data());
  const auto exact = reference::token_embedding(
      weights.state(), {samples, channels, patch * rows, patch * columns, in_double(x)},
      conditioned ? in_double(grid.time) : Numbers{}, dim, patch, AbsolutePositions, {masked.begin(), masked.end()});
  CHECK(relative_l2(in_double(y), channels_last(exact)) < rounding<Real>);
  CHECK(same_bits(y, serial));
}

}  // namespace

TEMPLATE_TEST_CASE("TokenEmbedding: normalised patches, mask token and positions; equal bits for any threads",
                   "[blocks][token_embedding]", float, double) {
  using Conditional = blocks::ConditionalLayerNorm<TestType, dim>;
  std::vector<TestType> masked(samples * rows * columns);
  for (std::size_t i = 0; i < masked.size(); i += 3) masked[i] = 1;
  check_case<TestType, Conditional, false, false>(true);
  check_case<TestType, Conditional, true, false>(true, masked);
  check_case<TestType, Conditional, true, true>(true, masked);
  check_case<TestType, Conditional, true, true>(true);  // a mask token that nothing asks for
  check_case<TestType, blocks::LayerNorm<TestType, dim>, false, true>(false);
}
