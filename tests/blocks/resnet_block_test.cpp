#include <fieldstep/blocks/resnet_block.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_scot.hpp>
#include <support/threads.hpp>
#include <support/token_grid.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 2, rows = 5, columns = 8, dim = 12;

template <class Real>
using Block = blocks::ResNetBlock<Real, dim, rows, columns>;
template <class Real>
using Tokens = TokenGrid<Real, samples, rows, columns, dim>;

}  // namespace

TEMPLATE_TEST_CASE(
    "ResNetBlock: agrees with its formulas, by running and by batch statistics; equal bits for any "
    "threads",
    "[blocks][resnet_block]", float, double) {
  const DrawnWeights<Block<TestType>, TestType> weights;
  const Tokens<TestType> grid;
  using Params = typename Block<TestType>::template Params<TestType>;
  const auto after = constant<TestType>(arena_count<Params>());
  const auto statistics = bind<Params>(after.data());
  const auto x = grid.x();
  for (const Params* running : {static_cast<const Params*>(nullptr), &statistics}) {
    const auto y = grid.x(), serial = grid.x();
    for (const auto& [exec, at] : {std::pair(Exec(), y.data()), std::pair(one_thread(), serial.data())})
      Block<TestType>::forward(exec, weights.weights(), samples, at, at, grid.scratch, running);
    const auto exact =
        reference::resnet_block(weights.state(), reference::image_of(x, samples, rows, columns), running != nullptr);
    CHECK(relative_l2(in_double(y), channels_last(exact)) < 2 * rounding<TestType>);
    CHECK(same_bits(y, serial));
  }
}

TEST_CASE("ResNetBlock: training brings both norms' running statistics up to date and nothing else",
          "[blocks][resnet_block]") {
  using Params = Block<double>::Params<double>;
  const DrawnWeights<Block<double>, double> weights;
  const Tokens<double> grid;
  const auto after = constant<double>(arena_count<Params>());
  const auto running = bind<Params>(after.data());
  const auto y = grid.x();
  Block<double>::forward(Exec(), weights.weights(), samples, y.data(), y.data(), grid.scratch, &running);
  const auto state = weights.state();
  const auto conv1 = reference::same_convolution(reference::image_of(grid.x(), samples, rows, columns),
                                                 state["conv1.weight"], 3, state["conv1.bias"]);
  const auto exact = reference::batch_statistics(state / "bn1", conv1);
  const auto found = [](const auto& tensor) { return Numbers(tensor.data_handle(), tensor.data_handle() + dim); };
  CHECK(relative_l2(found(running.bn1.running_mean), exact.running_mean) < rounding<double>);
  CHECK(relative_l2(found(running.bn1.running_var), exact.running_var) < rounding<double>);
  for (const double v : found(running.bn2.running_var)) CHECK(v > 0);
  for (const auto* untouched : {&running.conv1_bias, &running.bn1.weight, &running.bn2.bias})
    for (const double v : found(*untouched)) CHECK(std::isnan(v));
}
