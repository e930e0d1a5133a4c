#include <fieldstep/blocks/hmlp_stem.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_avit.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int dim = 48, q = dim / 4, rows = 2, columns = 3, samples = 2;
constexpr int tokens = rows * columns, pixels = 256 * tokens;

template <class Real>
struct Patches {
  Arena<Real> memory = constant<Real>(samples * (20 * tokens * q + dim));
  blocks::PatchScratch<Real> scratch{memory.data(), memory.data() + samples * 16 * tokens* q,
                                     memory.data() + samples * 20 * tokens* q};
};

}  // namespace

TEMPLATE_TEST_CASE("hMLP_stem: agrees with its convolutions; equal bits for any threads", "[blocks][hmlp_stem]", float,
                   double) {
  using Block = blocks::hMLP_stem<TestType, dim, rows, columns>;
  const DrawnWeights<Block, TestType> weights;
  const Patches<TestType> patches;
  const auto u = drawn<TestType>("u", std::size_t{samples} * pixels * q);
  const auto x = constant<TestType>(samples * tokens * dim), serial = constant<TestType>(samples * tokens * dim);
  Block::forward(Exec(), weights.weights(), 1, samples, u.data(), x.data(), patches.scratch);
  Block::forward(one_thread(), weights.weights(), 1, samples, u.data(), serial.data(), patches.scratch);
  const auto exact = reference::stem(weights.state(), reference::image_of(u, samples, 16 * rows, 16 * columns), dim);
  CHECK(relative_l2(in_double(x), channels_last(exact)) < rounding<TestType>);
  CHECK(same_bits(x, serial));
}
