#include <fieldstep/blocks/axial_attention.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_avit.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int dim = 24, heads = 2, rows = 3, columns = 5, samples = 3, positions = rows * columns;

template <class Real, class Bias = blocks::RelativePositionBias<Real, heads>>
struct Case {
  using Block = blocks::AxialAttentionBlock<Real, dim, heads, rows, columns, Bias>;
  DrawnWeights<Block, Real> drawn_weights;
  Arena<Real> x = drawn<Real>("x", samples* positions* dim);
  Arena<Real> bias_x = drawn<Real>("bias x", heads* columns* columns, 0, 2);
  Arena<Real> bias_y = drawn<Real>("bias y", heads* rows* rows, 0, 2);

  Arena<Real> run(const Exec& exec, double eps = 1e-5, const Real* keep_att = nullptr,
                  const Real* keep_mlp = nullptr) const {
    const auto memory = constant<Real>(5 * samples * positions * dim + samples * dim);
    const auto part = [&](int widths) { return memory.data() + widths * samples * positions * dim; };
    // The hidden layer of the MLP takes the place of q, k, v and what was attended, as in the network.
    const blocks::BlockScratch<Real> scratch{part(0), part(3), part(0), part(4), part(5), nullptr};
    const auto y = drawn<Real>("x", x.size());  // in place
    Block::forward(exec, drawn_weights.weights(), Bias::active ? bias_x.data() : nullptr,
                   Bias::active ? bias_y.data() : nullptr, samples, y.data(), y.data(), scratch, eps, keep_att,
                   keep_mlp);
    return y;
  }
  Numbers reference(double eps = 1e-5, const Numbers& keep_att = {}, const Numbers& keep_mlp = {}) const {
    const bool biased = Bias::active;
    return channels_last(reference::spatial_block(drawn_weights.state(), reference::image_of(x, samples, rows, columns),
                                                  heads, biased ? in_double(bias_x) : Numbers{},
                                                  biased ? in_double(bias_y) : Numbers{}, eps, keep_att, keep_mlp));
  }
};

}  // namespace

TEMPLATE_TEST_CASE("AxialAttentionBlock: agrees with its formulas; equal bits for any threads",
                   "[blocks][axial_attention]", float, double) {
  const Case<TestType> block;
  const auto y = block.run(Exec());
  CHECK(relative_l2(in_double(y), block.reference()) < rounding<TestType>);
  CHECK(same_bits(y, block.run(one_thread())));
}

TEST_CASE("AxialAttentionBlock: keep factors scale both branches of every sample on their own",
          "[blocks][axial_attention]") {
  const Case<double> block;
  const Numbers keep_att{1.25, 0, 1}, keep_mlp{0, 2, 1};
  CHECK(relative_l2(in_double(block.run(Exec(), 1e-5, keep_att.data(), keep_mlp.data())),
                    block.reference(1e-5, keep_att, keep_mlp)) < rounding<double>);
}

TEST_CASE("AxialAttentionBlock: a dropped sample passes unchanged", "[blocks][axial_attention]") {
  const Case<float> block;
  const std::vector<float> dropped(samples, 0.f);
  CHECK(same_bits(block.run(Exec(), 1e-5, dropped.data(), dropped.data()), block.x));
}

TEST_CASE("AxialAttentionBlock: the layer norms' eps is the caller's", "[blocks][axial_attention]") {
  const Case<double> block;
  const auto y = in_double(block.run(Exec(), 1e-6));
  CHECK(relative_l2(y, block.reference(1e-6)) < rounding<double>);
  CHECK(relative_l2(y, block.reference(1e-5)) > 1e-8);
}

TEST_CASE("AxialAttentionBlock: runs without position bias", "[blocks][axial_attention]") {
  const Case<double, blocks::NoPositionBias<double, heads>> block;
  CHECK(relative_l2(in_double(block.run(Exec())), block.reference()) < rounding<double>);
}
