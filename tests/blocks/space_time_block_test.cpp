#include <fieldstep/blocks/continuous_position_bias.hpp>
#include <fieldstep/blocks/space_time_block.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_avit.hpp>
#include <support/threads.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using blocks::Boundary;

namespace {

constexpr int dim = 24, heads = 2, frames = 3, rows = 4, columns = 6, samples = 2 * frames, positions = rows * columns;
using Block = blocks::SpaceTimeBlock<double, dim, heads, frames, rows, columns>;

}  // namespace

TEST_CASE("SpaceTimeBlock: time first, then space, with the biases of their axes", "[blocks][space_time_block]") {
  const DrawnWeights<Block, double> weights;
  const auto memory = constant<double>(5 * samples * positions * dim + 2 * samples * dim);
  const auto part = [&](int widths) { return memory.data() + widths * samples * positions * dim; };
  const blocks::BlockScratch<double> scratch{part(0), part(3), part(0), part(4), part(5), part(5) + samples * dim};
  const auto biases = constant<double>(arena_count<Block::BiasTables>());
  const auto bias = bind<Block::BiasTables>(biases.data());
  Block::tables(weights.weights(), Boundary::periodic, Boundary::open, bias);

  const auto state = weights.state();
  const auto expected_bias = [&](std::string_view block, int length, bool periodic) {
    return reference::relative_bias((state / block)["rel_pos_bias.relative_attention_bias.weight"], heads, length,
                                    periodic);
  };
  const auto x = drawn<double>("x", samples * positions * dim);
  auto exact = reference::temporal_block(state / "temporal", reference::image_of(x, samples, rows, columns), heads,
                                         frames, expected_bias("temporal", frames, false), 1e-5);
  exact = reference::spatial_block(state / "spatial", exact, heads, expected_bias("spatial", columns, true),
                                   expected_bias("spatial", rows, false), 1e-5);

  const auto last = constant<double>(2 * positions * dim), y = drawn<double>("x", x.size());
  Block::forward(Exec(), weights.weights(), bias, 2, y.data(), last.data(), scratch, 1e-5, true);
  CHECK(same_bits(x, y));  // with the last frame asked for, x is left alone
  Block::forward(Exec(), weights.weights(), bias, 2, y.data(), y.data(), scratch);
  const Numbers all = channels_last(exact);
  CHECK(relative_l2(in_double(y), all) < rounding<double>);

  Numbers last_frames;
  for (int b = 0; b < 2; ++b) {
    const auto from = all.begin() + (b * frames + frames - 1) * positions * dim;
    last_frames.insert(last_frames.end(), from, from + positions * dim);
  }
  CHECK(relative_l2(in_double(last), last_frames) < rounding<double>);
}
