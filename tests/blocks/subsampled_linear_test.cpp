#include <fieldstep/blocks/subsampled_linear.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_avit.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 2, states = 7, q = 12;

}  // namespace

TEMPLATE_TEST_CASE("SubsampledLinear: the labels' columns; the factor scales the bias too",
                   "[blocks][subsampled_linear]", float, double) {
  using Block = blocks::SubsampledLinear<TestType, states, q>;
  const DrawnWeights<Block, TestType> weights;
  for (const std::vector<int>& labels : {std::vector{3}, {0, 6, 2}, {5, 5}, {-1, 4, -7, -1}}) {
    const auto fields = labels.size(), count = samples * fields * 50;
    const auto columns_in_use = constant<TestType>(fields * q), bias = constant<TestType>(q);
    Block::gather(weights.weights(), labels, columns_in_use.data(), bias.data());
    const auto x = drawn<TestType>("x", count), u = constant<TestType>(samples * 50 * q);
    Block::forward(Exec(), samples, 50, static_cast<int>(fields), columns_in_use.data(), bias.data(), x.data(),
                   u.data());
    const reference::Image image{samples, static_cast<int>(fields), 5, 10, in_double(x)};
    CHECK(relative_l2(in_double(u), channels_last(reference::space_bag(weights.state(), image, labels))) <
          rounding<TestType>);
  }
}
