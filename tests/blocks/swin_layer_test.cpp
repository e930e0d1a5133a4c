#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/swin_layer.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_scot.hpp>
#include <support/threads.hpp>
#include <support/token_grid.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int dim = 24, heads = 2, rows = 5, columns = 8, window = 4, hidden = 60, samples = 3;
constexpr double eps = 1e-5;

template <class Real, class Norm = blocks::ConditionalLayerNorm<Real, dim>>
struct Case {
  using Block = blocks::SwinLayer<Real, Norm, dim, heads, rows, columns, window, hidden>;
  using Tokens = TokenGrid<Real, samples, rows, columns, dim, hidden>;
  static constexpr bool conditioned = std::same_as<Norm, blocks::ConditionalLayerNorm<Real, dim>>;
  DrawnWeights<Block, Real> weights{};
  Arena<Real> x = Tokens::x(), memory = constant<Real>(arena_count<typename Block::Prepared>());
  typename Block::Prepared prepared = bind<typename Block::Prepared>(memory.data());

  Case() { Block::Attention::prepare(Exec(), weights.weights().attention, prepared); }

  template <class Mode = blocks::NoKeep>
  void run(const Exec& exec, int shift, const Real* from, Real* y, const Mode& mode = {}) const {
    const Tokens grid;
    Block::forward(exec, weights.weights(), prepared, samples, grid.time.data(), shift, eps, from, y, grid.scratch,
                   mode);
  }
  Arena<Real> run(const Exec& exec, int shift) const {
    const auto y = Tokens::unwritten();
    run(exec, shift, x.data(), y.data());
    return y;
  }
  Arena<Real> train(int shift, const blocks::SwinKeep<Real>& keep) const {
    Carver<Real> counter;
    Block::Saved::take(counter, samples);
    const auto saved = constant<Real>(counter.taken()), y = Tokens::unwritten();
    Carver<Real> carver(saved.data());
    run(Exec(), shift, x.data(), y.data(), typename Block::Training{Block::Saved::take(carver, samples), keep});
    return y;
  }
  Numbers exact(int shift, const reference::Keep& keep = {}) const {
    return channels_last(reference::swin_layer(weights.state(), reference::image_of(x, samples, rows, columns),
                                               conditioned ? in_double(Tokens().time) : Numbers{},
                                               {heads, window, shift}, eps, keep));
  }
};

}  // namespace

TEMPLATE_TEST_CASE("SwinLayer: agrees with its formulas on a padded grid; equal bits for any threads",
                   "[blocks][swin_layer]", float, double) {
  const Case<TestType> layer;
  for (const int shift : {0, 2}) {
    const auto y = layer.run(Exec(), shift);
    CHECK(relative_l2(in_double(y), layer.exact(shift)) < 2 * rounding<TestType>);
    CHECK(same_bits(y, layer.run(one_thread(), shift)));
  }
}

TEST_CASE("SwinLayer: runs without conditions", "[blocks][swin_layer]") {
  const Case<double, blocks::LayerNorm<double, dim>> layer;
  CHECK(relative_l2(in_double(layer.run(Exec(), 2)), layer.exact(2)) < 2 * rounding<double>);
}

TEST_CASE("SwinLayer: may overwrite its input", "[blocks][swin_layer]") {
  const Case<float> layer;
  const auto apart = layer.run(Exec(), 2);
  layer.run(Exec(), 2, layer.x.data(), layer.x.data());
  CHECK(same_bits(apart, layer.x));
}

TEST_CASE("SwinLayer: both branches of every sample are kept or dropped on their own, and the MLP's numbers",
          "[blocks][swin_layer]") {
  const Case<double> layer;
  reference::Keep keep{.attention_branch = {1.25, 0, 1}, .mlp_branch = {0, 2, 1}};
  keep.mlp = in_double(drawn<double>("mlp", Case<double>::Tokens::size));
  for (double& v : keep.mlp) v = v < -.5 ? 0 : 1 / .75;
  const blocks::SwinKeep<double> given{
      .mlp = keep.mlp.data(), .attention_branch = keep.attention_branch.data(), .mlp_branch = keep.mlp_branch.data()};
  CHECK(relative_l2(in_double(layer.train(2, given)), layer.exact(2, keep)) < 2 * rounding<double>);
}

TEST_CASE("SwinLayer: a dropped sample passes unchanged", "[blocks][swin_layer]") {
  const Case<float> layer;
  const std::vector<float> dropped(samples, 0.f);
  const blocks::SwinKeep<float> keep{.attention_branch = dropped.data(), .mlp_branch = dropped.data()};
  CHECK(same_bits(layer.train(0, keep), layer.x));
}
