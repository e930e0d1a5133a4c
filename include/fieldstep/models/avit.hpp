#pragma once
#include <fieldstep/blocks/continuous_position_bias.hpp>
#include <fieldstep/blocks/hmlp_output.hpp>
#include <fieldstep/blocks/hmlp_stem.hpp>
#include <fieldstep/blocks/space_time_block.hpp>
#include <fieldstep/blocks/subsampled_linear.hpp>
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/models/avit_variants.hpp>
#include <fieldstep/ops/nested_patches.hpp>
#include <fieldstep/ops/standardise.hpp>

#include <span>
#include <type_traits>

namespace fieldstep::models {

using blocks::Boundary;

/// What a call fixes at run time: which states the fields are, and what lies beyond the domain's edges.
struct AvitConditions {
  std::span<const int> labels;        ///< one a field; negative ones count from the end, repeated ones are allowed
  Boundary along_x = Boundary::open;  ///< columns, the last axis: bcs[0] of the original
  Boundary along_y = Boundary::open;  ///< rows: bcs[1]
};

/// MPP's axial vision transformer: the fields after `Grid::frames` frames.
///   x (batch, frames, fields, height, width) -> y (batch, fields, height, width), the frame after the last
/// Normalises every field by its mean and deviation over time and space, embeds 16x16 patches, mixes them in time and
/// along rows and columns, and maps them back. Source: McCabe et al. 2023, arXiv:2310.02994; models/avit.py.
template <class Config, class Grid, class Real = float>
struct AViT {
  static_assert(Config::embed_dim % Config::heads == 0, "AViT: embed_dim must be a multiple of heads");
  static_assert(Config::embed_dim % 4 == 0, "AViT: embed_dim must be a multiple of 4");
  static_assert(Config::blocks > 0 && Config::states > 0, "AViT: needs at least one block and one state");
  static_assert(Grid::height % Config::patch == 0 && Grid::width % Config::patch == 0,
                "AViT: height and width must be multiples of patch, 16");
  static_assert(Grid::height * Grid::width > Config::patch * Config::patch, "AViT: needs at least two patches");
  static constexpr int Dim = Config::embed_dim, q = Dim / 4, frames = Grid::frames;
  static constexpr int fields = Grid::fields, out_fields = fields, height = Grid::height, width = Grid::width;
  static constexpr int rows = Grid::height / Config::patch, columns = Grid::width / Config::patch;
  static constexpr int positions = rows * columns, pixels = Grid::height * Grid::width;
  static constexpr std::size_t depth = Config::blocks;
  static constexpr double layer_norm_eps = Config::layer_norm_eps, deviation_eps = 1e-7;

  using Bias =
      std::conditional_t<Config::bias == PositionBias::relative, blocks::RelativePositionBias<Real, Config::heads>,
                         std::conditional_t<Config::bias == PositionBias::continuous,
                                            blocks::ContinuousPositionBias1D<Real, Config::heads>,
                                            blocks::NoPositionBias<Real, Config::heads>>>;
  using SpaceBag = blocks::SubsampledLinear<Real, Config::states, q>;
  using Stem = blocks::hMLP_stem<Real, Dim, rows, columns, fields>;
  using Block = blocks::SpaceTimeBlock<Real, Dim, Config::heads, frames, rows, columns, Bias>;
  using Output = blocks::hMLP_output<Real, Dim, Config::states, rows, columns, fields>;
  using Patches = ops::NestedPatches<fields, rows, columns>;
  using In = Batched<const Real, frames, fields, Grid::height, Grid::width>;
  using Out = Batched<Real, fields, Grid::height, Grid::width>;
  using Conditions = AvitConditions;

  template <class R>
  struct Params {
    typename SpaceBag::template Params<R> space_bag;
    typename Stem::template Params<R> embed;
    std::array<typename Block::template Params<R>, depth> blocks;
    typename Output::template Params<R> debed;
    using hana_accessors_impl = Fields<Field<"space_bag", &Params::space_bag>, Field<"embed", &Params::embed>,
                                       Field<"blocks", &Params::blocks>, Field<"debed", &Params::debed>>;
  };
  using Weights = Params<const Real>;

  /// The parameters in state-dict order, and the numbers their arena holds.
  static ParamTable table() { return table_; }
  static constexpr std::size_t arena_size = arena_count<Params<Real>>();

  /// What depends on weights and conditions but not on x: made once, read by every step; or its gradient.
  struct Prepared {
    typename Stem::First folded;  ///< space_bag and the stem's first convolution
    Tensor<Real, q> folded_bias{nullptr};
    Tensor<Real, fields, q> bag_columns{nullptr};
    Tensor<Real, q> bag_constant{nullptr};
    typename Output::Head head;
    Tensor<Real, 16 * fields> head_bias{nullptr};
    std::array<typename Block::BiasTables, depth> bias;
    using hana_accessors_impl = Fields<Field<"folded", &Prepared::folded>, Field<"folded_bias", &Prepared::folded_bias>,
                                       Field<"bag_columns", &Prepared::bag_columns>,
                                       Field<"bag_constant", &Prepared::bag_constant>, Field<"head", &Prepared::head>,
                                       Field<"head_bias", &Prepared::head_bias>, Field<"bias", &Prepared::bias>>;

    std::array<int, fields> states{};  ///< the labels, as indices
    Boundary along_x = Boundary::open, along_y = Boundary::open;
  };
  static constexpr std::size_t prepared_size = arena_count<Prepared>();

  /// Fills prepared_size numbers at `memory`. Throws Error if the labels do not fit the fields or the vocabulary.
  template <class Exec>
  static Prepared prepare(const Exec&, const Weights& w, const AvitConditions& conditions, Real* memory) {
    if (conditions.labels.size() != fields)
      fail_usage("labels: found ", conditions.labels.size(), ", wanted one for each of the ", fields, " fields");
    Prepared p = bind<Prepared>(memory);
    p.along_x = conditions.along_x, p.along_y = conditions.along_y;
    for (std::size_t c = 0; c < fields; ++c) {
      const int label = conditions.labels[c];
      if (label < -Config::states || label >= Config::states)
        fail_usage("labels: found ", label, ", wanted ", -Config::states, " to ", Config::states - 1);
      p.states[c] = SpaceBag::state(label);
    }
    SpaceBag::gather(w.space_bag, p.states, p.bag_columns.data_handle(), p.bag_constant.data_handle());
    Stem::fold(w.embed, p.bag_columns.data_handle(), p.bag_constant.data_handle(), p.folded,
               p.folded_bias.data_handle());
    Output::gather(w.debed, p.states, p.head, p.head_bias.data_handle());
    for (std::size_t b = 0; b < depth; ++b) Block::tables(w.blocks[b], p.along_x, p.along_y, p.bias[b]);
    return p;
  }

  /// Gradient of prepare: adds to dw. dp: the gradient of p by the steps, which read nothing of the bag: there it is
  /// zero, and made here.
  template <class Exec>
  static void prepare_backward(const Exec&, const Weights& w, const Prepared& p, const Prepared& dp,
                               const Params<Real>& dw) {
    Stem::fold_backward(w.embed, p.bag_columns.data_handle(), p.bag_constant.data_handle(), dp.folded,
                        dp.folded_bias.data_handle(), dw.embed, dp.bag_columns.data_handle(),
                        dp.bag_constant.data_handle());
    SpaceBag::gather_backward(p.states, dp.bag_columns.data_handle(), dp.bag_constant.data_handle(), dw.space_bag);
    Output::gather_backward(p.states, dp.head, dp.head_bias.data_handle(), dw.debed);
    for (std::size_t b = 0; b < depth; ++b)
      Block::tables_backward(w.blocks[b], p.along_x, p.along_y, dp.bias[b], dw.blocks[b]);
  }

  /// Samples that go through the network together: enough rows for the products, whatever the batch.
  static constexpr int chunk = std::max(1, 256 / (frames * positions));

 private:
  static constexpr auto table_ = make_param_table<Params<Real>>();

  enum Place {
    mean,
    deviation,
    planes,
    fine,
    coarse,
    tokens,
    mixing,
    mixed,
    scale,
    shift,
    last,
    out_fine,
    out_coarse,
    patches,
    places
  };

  /// Stages: 0 normalise, 1-3 stem, 4 blocks, 5-7 output.
  static constexpr WorkspacePlan<places> plan() {
    const std::size_t n = chunk, s = n * frames;
    std::array<Region, places> r{};
    r[mean] = {"mean", n * fields, 0, 7};
    r[deviation] = {"deviation", n * fields, 0, 7};
    r[planes] = {"planes", 2 * s * fields, 0, 0};
    r[fine] = {"stem, 4x4 patches", s * 16 * positions * q, 1, 2};
    r[coarse] = {"stem, 8x8 patches", s * 4 * positions * q, 2, 3};
    r[tokens] = {"tokens", s * positions * Dim, 3, 4};
    r[mixing] = {"qkv and attended, or hidden", 4 * s * positions * Dim, 4, 4};
    r[mixed] = {"branch", s * positions * Dim, 4, 4};
    r[scale] = {"scale", s * Dim, 1, 7};
    r[shift] = {"shift", s * Dim, 4, 4};
    r[last] = {"last frame's tokens", n * positions * Dim, 4, 5};
    r[out_coarse] = {"output, 8x8 patches", n * 4 * positions * q, 5, 6};
    r[out_fine] = {"output, 4x4 patches", n * 16 * positions * q, 6, 7};
    r[patches] = {"output pixels", n * fields * pixels, 7, 7};
    return plan_workspace(r);
  }

 public:
  static constexpr auto inference_plan = plan();

  /// Numbers of workspace a forward pass needs, for any batch.
  static constexpr std::size_t workspace_size = inference_plan.count;

  /// Multiply-adds x 2 of a forward pass: convolutions, linear layers and products of attention. Without last_step_only
  /// every frame goes through the last block's queries and the output, as in the original.
  static constexpr double flop(int batch, bool last_step_only = true) {
    const double C = fields, D = Dim, Q = q, P = double(batch) * frames * pixels,
                 n = double(batch) * frames * positions;
    const double axial = 2 * n * (rows + columns) * D, temporal = 2 * n * frames * D;
    const double share = last_step_only ? 1.0 / frames : 1.0;
    const double encoder = P * C * Q + P * Q * Q + P * Q * Q / 16 + n * D * D;
    const double last_block = 2 * n * D * D + share * (14 * n * D * D + temporal + axial);
    const double decoder = share * (n * D * D + 16 * n * Q * Q + P * Q * C);
    return 2 * (encoder + (Config::blocks - 1) * (16 * n * D * D + temporal + axial) + last_block + decoder);
  }

  /// One step in inference. Overwrites y; allocates nothing. workspace: workspace_size numbers, 64-byte aligned.
  /// space_bag and the first convolution are one product, and of the last block and the output only the last frame is
  /// computed: both are exact but for rounding.
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, In x, Out y, Real* workspace) {
    for (int first = 0; first < x.extent(0); first += chunk) {
      const int batch = std::min(chunk, x.extent(0) - first);
      const auto at = [=](Place place) { return workspace + inference_plan.offset[place]; };
      const Real* in = x.data_handle() + static_cast<std::ptrdiff_t>(first) * frames * fields * pixels;
      ops::field_statistics(exec, batch, frames, fields, pixels, deviation_eps, in, at(planes), at(mean),
                            at(deviation));
      Stem::forward(exec, w.embed, prepared.folded, prepared.folded_bias.data_handle(), batch,
                    {in, at(mean), at(deviation), frames}, at(tokens), {at(fine), at(coarse), at(scale)});
      const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(batch) * frames * positions * Dim;
      const blocks::BlockScratch<Real> scratch{at(mixing), at(mixing) + 3 * size, at(mixing), at(mixed), at(scale),
                                               at(shift)};
      for (std::size_t b = 0; b < depth; ++b) {
        const bool is_last = b + 1 == depth;
        Block::forward(exec, w.blocks[b], prepared.bias[b], batch, at(tokens), is_last ? at(last) : at(tokens), scratch,
                       layer_norm_eps, is_last);
      }
      Output::forward(exec, w.debed, prepared.head, prepared.head_bias.data_handle(), batch, 1, at(last), at(patches),
                      {at(out_fine), at(out_coarse), at(scale)});
      Patches::to_image(exec, batch, 1, at(patches), at(deviation), at(mean),
                        y.data_handle() + static_cast<std::ptrdiff_t>(first) * fields * pixels);
    }
    exec.fence("AViT");  // Kokkos' own label is too long for a string without an allocation
  }
};

}  // namespace fieldstep::models
