#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/patch_merging.hpp>
#include <fieldstep/blocks/patch_unmerging.hpp>
#include <fieldstep/blocks/swin_stage.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_scot.hpp>
#include <support/threads.hpp>
#include <support/token_grid.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int dim = 12, heads = 2, rows = 7, columns = 9, window = 3, shift = 1, depth = 3, samples = 2;
constexpr int coarse = 4 * 5;  // tokens of the grid half as fine
constexpr double eps = 1e-5;

template <class Real, int Dim>
using Norm = blocks::ConditionalLayerNorm<Real, Dim>;
template <class Real>
using Layer = blocks::SwinLayer<Real, Norm<Real, dim>, dim, heads, rows, columns, window, 4 * dim>;
template <class Real>
using Tokens = TokenGrid<Real, samples, rows, columns, dim>;

/// A stage with drawn weights and what it prepares from them.
template <class Stage, class Real>
struct Ready {
  DrawnWeights<Stage, Real> weights{};
  Arena<Real> x = Tokens<Real>::x(), memory = constant<Real>(size());
  typename Stage::Prepared prepared{};

  Ready() {
    std::size_t offset = 0;
    for (auto& layer : prepared) {
      layer = bind<typename Layer<Real>::Prepared>(memory.data() + offset);
      offset += arena_count<typename Layer<Real>::Prepared>();
    }
    Stage::prepare(Exec(), weights.weights(), prepared);
  }
  static constexpr std::size_t size() { return depth * arena_count<typename Layer<Real>::Prepared>(); }
  reference::Image image() const { return reference::image_of(x, samples, rows, columns); }
};

}  // namespace

TEMPLATE_TEST_CASE("EncoderStage: every other layer is shifted; merging adds the stage's input", "[blocks][swin_stage]",
                   float, double) {
  using Stage = blocks::EncoderStage<TestType, Layer<TestType>, depth,
                                     blocks::PatchMerging<TestType, Norm<TestType, 2 * dim>, dim, rows, columns>>;
  const Ready<Stage, TestType> stage;
  const Tokens<TestType> grid;
  const auto h = grid.unwritten(), y = constant<TestType>(samples * coarse * 2 * dim);
  Stage::forward(Exec(), stage.weights.weights(), stage.prepared, samples, grid.time.data(), shift, eps, stage.x.data(),
                 h.data(), y.data(), grid.scratch);
  const auto state = stage.weights.state();
  const auto time = in_double(grid.time);
  const auto layers = reference::encoder_layers(state, stage.image(), time, depth, {heads, window, shift}, eps);
  CHECK(relative_l2(in_double(h), channels_last(layers)) < 4 * rounding<TestType>);
  CHECK(relative_l2(in_double(y),
                    channels_last(reference::patch_merging(state / "downsample", added(stage.image(), layers), time))) <
        4 * rounding<TestType>);
  CHECK(same_bits(stage.x, Tokens<TestType>::x()));
}

TEMPLATE_TEST_CASE("EncoderStage: the last one merges nothing", "[blocks][swin_stage]", float, double) {
  using Stage = blocks::EncoderStage<TestType, Layer<TestType>, depth>;
  const Ready<Stage, TestType> stage;
  const Tokens<TestType> grid;
  const auto h = grid.unwritten();
  Stage::forward(Exec(), stage.weights.weights(), stage.prepared, samples, grid.time.data(), shift, eps, stage.x.data(),
                 h.data(), nullptr, grid.scratch);
  const auto layers = reference::encoder_layers(stage.weights.state(), stage.image(), in_double(grid.time), depth,
                                                {heads, window, shift}, eps);
  CHECK(relative_l2(in_double(h), channels_last(layers)) < 4 * rounding<TestType>);
}

TEMPLATE_TEST_CASE("DecoderStage: the last layer is never shifted; unmerging adds to the skip", "[blocks][swin_stage]",
                   float, double) {
  constexpr int fine_rows = 13, fine_columns = 18, half = dim / 2;
  using Stage =
      blocks::DecoderStage<TestType, Layer<TestType>, depth,
                           blocks::PatchUnmerging<TestType, Norm<TestType, half>, dim, fine_rows, fine_columns>>;
  const Ready<Stage, TestType> stage;
  const Tokens<TestType> grid;
  const auto wide = constant<TestType>(6 * Tokens<TestType>::size);  // unmerging takes 2 + 4 sizes
  const auto skip = drawn<TestType>("skip", samples * fine_rows * fine_columns * half),
             before = drawn<TestType>("skip", skip.size());
  auto scratch = grid.scratch;
  scratch.wide = wide.data();
  const auto h = grid.unwritten();
  Stage::forward(Exec(), stage.weights.weights(), stage.prepared, samples, grid.time.data(), shift, eps, stage.x.data(),
                 h.data(), skip.data(), scratch);
  const auto state = stage.weights.state();
  const auto time = in_double(grid.time);
  const auto layers = reference::decoder_layers(state, stage.image(), time, depth, {heads, window, shift}, eps);
  const auto finer = added(reference::image_of(before, samples, fine_rows, fine_columns),
                           reference::patch_unmerging(state / "upsample", layers, time, fine_rows, fine_columns));
  CHECK(relative_l2(in_double(h), channels_last(layers)) < 4 * rounding<TestType>);
  CHECK(relative_l2(in_double(skip), channels_last(finer)) < 4 * rounding<TestType>);
}
