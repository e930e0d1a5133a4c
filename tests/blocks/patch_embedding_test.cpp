#include <fieldstep/blocks/patch_embedding.hpp>
#include <support/drawn_weights.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

TEMPLATE_TEST_CASE("PatchEmbedding: a convolution whose stride is its kernel; equal bits for any threads",
                   "[blocks][patch_embedding]", float, double) {
  const auto check = []<int Channels, int Dim, int Patch, int Rows, int Columns>(
                         std::integer_sequence<int, Channels, Dim, Patch, Rows, Columns>) {
    constexpr int samples = 3;
    using Block = blocks::PatchEmbedding<TestType, Channels, Dim, Patch, Rows, Columns>;
    const DrawnWeights<Block, TestType> weights;
    const auto x = drawn<TestType>("x", samples * Channels * Rows * Columns * Patch * Patch);
    const auto y = constant<TestType>(samples * Rows * Columns * Dim), serial = constant<TestType>(y.size());
    Block::forward(Exec(), weights.weights(), samples, x.data(), y.data());
    Block::forward(one_thread(), weights.weights(), samples, x.data(), serial.data());
    const auto exact =
        reference::convolution({samples, Channels, Patch * Rows, Patch * Columns, in_double(x)},
                               weights.state()["projection.weight"], Dim, Patch, weights.state()["projection.bias"]);
    CHECK(relative_l2(in_double(y), channels_last(exact)) < rounding<TestType>);
    CHECK(same_bits(y, serial));
  };
  check(std::integer_sequence<int, 4, 48, 4, 3, 5>());
  check(std::integer_sequence<int, 1, 12, 2, 7, 2>());
  check(std::integer_sequence<int, 3, 10, 3, 1, 4>());
}
