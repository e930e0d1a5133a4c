#include <fieldstep/blocks/hmlp_stem.hpp>
#include <fieldstep/blocks/subsampled_linear.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_avit.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int dim = 48, q = dim / 4, rows = 2, columns = 3, samples = 2, fields = 3;
constexpr int tokens = rows * columns, pixels = 256 * tokens, states = 7;

template <class Real>
struct Patches {
  Arena<Real> memory = constant<Real>(samples * (20 * tokens * q + dim));
  blocks::PatchScratch<Real> scratch{memory.data(), memory.data() + samples * 16 * tokens* q,
                                     memory.data() + samples * 20 * tokens* q};
};

}  // namespace

TEMPLATE_TEST_CASE("hMLP_stem: agrees with the states and its convolutions; equal bits for any threads",
                   "[blocks][hmlp_stem]", float, double) {
  using Block = blocks::hMLP_stem<TestType, dim, rows, columns, fields>;
  using Bag = blocks::SubsampledLinear<TestType, states, q>;
  constexpr int labels[fields] = {4, 0, 4};
  const DrawnWeights<Block, TestType> weights;
  const DrawnWeights<Bag, TestType> bag;
  const auto columns_in_use = constant<TestType>(fields * q), constant_in_use = constant<TestType>(q);
  Bag::gather(bag.weights(), labels, columns_in_use.data(), constant_in_use.data());
  const auto memory = constant<TestType>(Block::First::stored_size), bias = constant<TestType>(q);
  const typename Block::First first(memory.data());
  Block::fold(weights.weights(), columns_in_use.data(), constant_in_use.data(), first, bias.data());

  const Patches<TestType> patches;
  const auto x = drawn<TestType>("x", samples * fields * pixels), mean = drawn<TestType>("mean", fields),
             deviation = drawn<TestType>("deviation", fields, 1, .5);
  const auto run = [&](const Exec& exec) {
    const auto y = constant<TestType>(samples * tokens * dim);
    Block::forward(exec, weights.weights(), first, bias.data(), 1, {x.data(), mean.data(), deviation.data(), samples},
                   y.data(), patches.scratch);
    return y;
  };
  reference::Image image{samples, fields, 16 * rows, 16 * columns, in_double(x)};
  for_each(image, [&](int s, int c, int i, int j) {
    image(s, c, i, j) =
        (image(s, c, i, j) - static_cast<double>(mean.data()[c])) / static_cast<double>(deviation.data()[c]);
  });
  const auto exact = reference::stem(weights.state(), reference::space_bag(bag.state(), image, labels), dim);
  const auto y = run(Exec());
  CHECK(relative_l2(in_double(y), channels_last(exact)) < rounding<TestType>);
  CHECK(same_bits(y, run(one_thread())));
}
