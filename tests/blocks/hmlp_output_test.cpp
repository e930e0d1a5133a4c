#include <fieldstep/blocks/hmlp_output.hpp>
#include <fieldstep/ops/nested_patches.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_avit.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int dim = 48, q = dim / 4, rows = 2, columns = 3, samples = 2, states = 7;
constexpr int tokens = rows * columns, pixels = 256 * tokens;

template <class Real>
struct Patches {
  Arena<Real> memory = constant<Real>(samples * (20 * tokens * q + dim));
  blocks::PatchScratch<Real> scratch{memory.data(), memory.data() + samples * 16 * tokens* q,
                                     memory.data() + samples * 20 * tokens* q};
};

}  // namespace

TEMPLATE_TEST_CASE("hMLP_output: agrees with its transposed convolutions, for the labels in use",
                   "[blocks][hmlp_output]", float, double) {
  constexpr int fields = 3, labels[fields] = {4, 0, 4};
  using Block = blocks::hMLP_output<TestType, dim, states, rows, columns, fields>;
  const DrawnWeights<Block, TestType> weights;
  const Patches<TestType> patches;
  const auto x = drawn<TestType>("x", samples * tokens * dim);
  const auto head_memory = constant<TestType>(Block::Head::stored_size, 0), bias = constant<TestType>(16 * fields);
  const typename Block::Head head(head_memory.data());
  Block::gather(weights.weights(), labels, head, bias.data());
  const auto out = constant<TestType>(samples * pixels * fields), image = constant<TestType>(samples * pixels * fields);
  Block::forward(Exec(), weights.weights(), head, bias.data(), 1, samples, x.data(), out.data(), patches.scratch);
  const auto exact = reference::output(weights.state(), reference::image_of(x, samples, rows, columns), labels);
  const TestType* none = nullptr;
  ops::NestedPatches<fields, rows, columns>::to_image(Exec(), samples, 1, out.data(), none, none, image.data());
  CHECK(relative_l2(in_double(image), exact.values) < rounding<TestType>);
}
