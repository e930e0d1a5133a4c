#include <fieldstep/blocks/attention.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_avit.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int dim = 24, heads = 2, frames = 3, rows = 2, columns = 3, batch = 2;
constexpr int samples = batch * frames, positions = rows * columns;

template <class Real, class Bias = blocks::RelativePositionBias<Real, heads>>
struct Case {
  using Block = blocks::AttentionBlock<Real, dim, heads, frames, rows, columns, Bias>;
  DrawnWeights<Block, Real> drawn_weights;
  Arena<Real> x = drawn<Real>("x", samples* positions* dim);
  Arena<Real> bias = drawn<Real>("bias", heads* frames* frames, 0, 2);

  Arena<Real> run(const Exec& exec, double eps = 1e-5, bool last_frame_only = false, const Real* keep = nullptr) const {
    const auto memory = constant<Real>(10 * samples * positions * dim + 2 * samples * dim);
    const auto part = [&](int widths) { return memory.data() + widths * samples * positions * dim; };
    const blocks::BlockScratch<Real> scratch{part(0), part(3), part(4), part(8), part(9), part(9) + samples * dim};
    const auto y = constant<Real>((last_frame_only ? batch : samples) * positions * dim);
    Block::forward(exec, drawn_weights.weights(), Bias::active ? bias.data() : nullptr, batch, x.data(), y.data(),
                   scratch, eps, last_frame_only, keep);
    return y;
  }
  Numbers reference(double eps = 1e-5, const Numbers& keep = {}) const {
    return channels_last(reference::temporal_block(drawn_weights.state(),
                                                   reference::image_of(x, samples, rows, columns), heads, frames,
                                                   Bias::active ? in_double(bias) : Numbers{}, eps, keep));
  }
};

}  // namespace

TEMPLATE_TEST_CASE("AttentionBlock: agrees with its formulas; equal bits for any threads", "[blocks][attention]", float,
                   double) {
  const Case<TestType> block;
  const auto y = block.run(Exec());
  CHECK(relative_l2(in_double(y), block.reference()) < rounding<TestType>);
  CHECK(same_bits(y, block.run(one_thread())));
}

TEST_CASE("AttentionBlock: the last frame alone equals the last of all frames", "[blocks][attention]") {
  const Case<double> block;
  const auto all = block.run(Exec()), last = block.run(Exec(), 1e-5, true);
  Numbers expected;
  for (int b = 0; b < batch; ++b) {
    const double* from = all.data() + (b * frames + frames - 1) * positions * dim;
    expected.insert(expected.end(), from, from + positions * dim);
  }
  CHECK(relative_l2(in_double(last), expected) < rounding<double>);
}

TEST_CASE("AttentionBlock: keep factors scale the branch of every sample", "[blocks][attention]") {
  const Case<double> block;
  const Numbers keep{1, 0, 2, 1.25, 0, .5};
  CHECK(relative_l2(in_double(block.run(Exec(), 1e-5, false, keep.data())), block.reference(1e-5, keep)) <
        rounding<double>);
}

TEST_CASE("AttentionBlock: the layer norms' eps is the caller's", "[blocks][attention]") {
  const Case<double> block;
  const auto y = in_double(block.run(Exec(), 1e-6));
  CHECK(relative_l2(y, block.reference(1e-6)) < rounding<double>);
  CHECK(relative_l2(y, block.reference(1e-5)) > 1e-8);
}

TEST_CASE("AttentionBlock: runs without position bias", "[blocks][attention]") {
  const Case<double, blocks::NoPositionBias<double, heads>> block;
  CHECK(relative_l2(in_double(block.run(Exec())), block.reference()) < rounding<double>);
}

TEST_CASE("AttentionBlock: may overwrite its input", "[blocks][attention]") {
  const Case<float> block;
  const auto apart = block.run(Exec());
  const Arena<float> scratch(10 * samples * positions * dim + 2 * samples * dim);
  const auto part = [&](int widths) { return scratch.data() + widths * samples * positions * dim; };
  Case<float>::Block::forward(Exec(), block.drawn_weights.weights(), block.bias.data(), batch, block.x.data(),
                              block.x.data(), {part(0), part(3), part(4), part(8), part(9), part(9) + samples * dim});
  CHECK(same_bits(apart, block.x));
}
