#include <fieldstep/blocks/patch_recovery.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_scot.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

TEMPLATE_TEST_CASE("PatchRecovery: a transposed convolution, then 5x5 over all channels; equal bits for any threads",
                   "[blocks][patch_recovery]", float, double) {
  const auto check = []<int Dim, int Channels, int Patch, int Rows, int Columns>(
                         std::integer_sequence<int, Dim, Channels, Patch, Rows, Columns>) {
    constexpr int samples = 2;
    using Block = blocks::PatchRecovery<TestType, Dim, Channels, Patch, Rows, Columns>;
    const DrawnWeights<Block, TestType> weights;
    const auto x = drawn<TestType>("x", samples * Rows * Columns * Dim);
    const auto y = constant<TestType>(samples * Rows * Columns * Block::patch_size),
               serial = constant<TestType>(y.size());
    for (const auto& [exec, to] : {std::pair(Exec(), y.data()), std::pair(one_thread(), serial.data())}) {
      const auto patches = constant<TestType>(y.size()), framed = constant<TestType>(samples * Block::framed_size);
      Block::forward(exec, weights.weights(), samples, x.data(), to, {patches.data(), framed.data()});
    }
    const auto exact =
        reference::patch_recovery(weights.state(), reference::image_of(x, samples, Rows, Columns), Channels, Patch);
    CHECK(relative_l2(in_double(y), exact.values) < rounding<TestType>);
    CHECK(same_bits(y, serial));
  };
  check(std::integer_sequence<int, 24, 4, 4, 3, 5>());
  check(std::integer_sequence<int, 12, 1, 4, 4, 2>());
  check(std::integer_sequence<int, 10, 3, 3, 3, 5>());  // a width that no vector divides
  check(std::integer_sequence<int, 8, 2, 1, 2, 3>());   // an image smaller than the 5x5 kernel
}
