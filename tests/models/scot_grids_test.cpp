#include <fieldstep/models/scot.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_scot.hpp>
#include <support/threads.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

/// Odd depths, windows shifted at the first resolution alone and reduced at the last.
struct Small : models::ScotDefaults {
  static constexpr int embed_dim = 12, window = 4, out_channels = 2;
  static constexpr std::array depths{3, 2, 1}, heads{1, 2, 4}, skip_blocks{1, 2, 0};
};
/// Everything that Poseidon's variants leave off.
struct Other : models::ScotDefaults {
  static constexpr int embed_dim = 8, patch = 2, window = 4, out_channels = 2;
  static constexpr std::array depths{2, 1}, heads{2, 2}, skip_blocks{1, 1};
  static constexpr double mlp_ratio = 2.5, layer_norm_eps = 1e-4;
  static constexpr bool use_conditioning = false, learn_residual = true, qkv_bias = false, absolute_positions = true;
  static constexpr models::SkipBlock skip_block = models::SkipBlock::resnet;
};

/// The network in double against the plain loops of its formulas.
template <class Config, int Height, int Width>
void check_grid() {
  using Net = models::ScOT<Config, Grid<1, Height, Width, 3>, double>;
  constexpr int batch = 2;
  const DrawnWeights<Net, double> weights;
  const auto memory = constant<double>(Net::prepared_size), work = constant<double>(Net::workspace_size);
  const auto prepared = Net::prepare(Exec(), weights.weights(), {}, memory.data());
  const auto x = drawn<double>("x", batch * static_size<typename Net::In>()),
             time = drawn<double>("time", batch, .5, .5);
  const auto y = constant<double>(batch * static_size<typename Net::Out>());
  Net::forward(Exec(), weights.weights(), prepared, typename Net::In(x.data(), batch), time.data(),
               typename Net::Out(y.data(), batch), work.data());
  const auto exact = reference::scot<Config>(weights.state(), {batch, 3, Height, Width, in_double(x)}, in_double(time));
  INFO(Height << "x" << Width);
  CHECK(relative_l2(in_double(y), exact.values) < 1e-13);
}

}  // namespace

TEST_CASE("ScOT: on any grid it is what its formulas say, as on a square one", "[models][scot]") {
  check_grid<Small, 36, 36>();  // 9 x 9, 5 x 5, 3 x 3 tokens
  check_grid<Small, 36, 52>();  // 9 x 13, 5 x 7, 3 x 4
  check_grid<Other, 20, 14>();
}
