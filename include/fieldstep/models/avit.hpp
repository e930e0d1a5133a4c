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

  using Bias =
      std::conditional_t<Config::bias == PositionBias::relative, blocks::RelativePositionBias<Real, Config::heads>,
                         std::conditional_t<Config::bias == PositionBias::continuous,
                                            blocks::ContinuousPositionBias1D<Real, Config::heads>,
                                            blocks::NoPositionBias<Real, Config::heads>>>;
  using SpaceBag = blocks::SubsampledLinear<Real, Config::states, q>;
  using Stem = blocks::hMLP_stem<Real, Dim, rows, columns>;
  using Block = blocks::SpaceTimeBlock<Real, Dim, Config::heads, frames, rows, columns, Bias>;
  using Output = blocks::hMLP_output<Real, Dim, Config::states, rows, columns, fields>;
  using In = Batched<const Real, frames, fields, Grid::height, Grid::width>;
  using Out = Batched<Real, fields, Grid::height, Grid::width>;
  using Conditions = AvitConditions;

  template <class R>
  struct Params {
    typename SpaceBag::template Params<R> space_bag;
    typename Stem::template Params<R> embed;
    std::array<typename Block::template Params<R>, Config::blocks> blocks;
    typename Output::template Params<R> debed;
    using hana_accessors_impl = Fields<Field<"space_bag", &Params::space_bag>, Field<"embed", &Params::embed>,
                                       Field<"blocks", &Params::blocks>, Field<"debed", &Params::debed>>;
  };
  using Weights = Params<const Real>;

  /// The parameters in state-dict order, and the numbers their arena holds.
  static ParamTable table() { return table_; }
  static constexpr std::size_t arena_size = arena_count<Params<Real>>();

  /// What depends on weights and conditions but not on x: made once, read by every step.
  struct Prepared {
    Packed<Real, LinearLayout<16 * fields, q>>
        folded;  ///< space_bag and the stem's first convolution; k = (field, a, b)
    Tensor<Real, q> folded_bias{nullptr};
    Tensor<Real, fields, q> bag_columns{nullptr};
    Tensor<Real, q> bag_constant{nullptr};
    typename Output::Head head;
    Tensor<Real, 16 * fields> head_bias{nullptr};
    std::array<typename Block::BiasTables, Config::blocks> bias;
    using hana_accessors_impl = Fields<Field<"folded", &Prepared::folded>, Field<"folded_bias", &Prepared::folded_bias>,
                                       Field<"bag_columns", &Prepared::bag_columns>,
                                       Field<"bag_constant", &Prepared::bag_constant>, Field<"head", &Prepared::head>,
                                       Field<"head_bias", &Prepared::head_bias>, Field<"bias", &Prepared::bias>>;
  };
  static constexpr std::size_t prepared_size = arena_count<Prepared>();

  /// Fills prepared_size numbers at `memory`. Throws Error if the labels do not fit the fields or the vocabulary.
  template <class Exec>
  static Prepared prepare(const Exec&, const Weights& w, const AvitConditions& conditions, Real* memory) {
    if (conditions.labels.size() != fields)
      fail_usage("labels: found ", conditions.labels.size(), ", wanted one for each of the ", fields, " fields");
    std::array<int, fields> states{};
    for (std::size_t c = 0; c < fields; ++c) {
      const int label = conditions.labels[c];
      if (label < -Config::states || label >= Config::states)
        fail_usage("labels: found ", label, ", wanted ", -Config::states, " to ", Config::states - 1);
      states[c] = SpaceBag::state(label);
    }
    Prepared p = bind<Prepared>(memory);
    SpaceBag::gather(w.space_bag, states, p.bag_columns.data_handle(), p.bag_constant.data_handle());
    fold_stem(w, p);
    Output::gather(w.debed, states, p.head, p.head_bias.data_handle());
    for (std::size_t b = 0; b < Config::blocks; ++b)
      Block::tables(w.blocks[b], conditions.along_x, conditions.along_y, p.bias[b]);
    return p;
  }

  /// Samples that go through the network together: enough rows for the products, whatever the batch.
  static constexpr int chunk = std::max(1, 256 / (frames * positions));

 private:
  static constexpr auto table_ = make_param_table<Params<Real>>();

  enum Place {
    mean,
    deviation,
    planes,
    standard,
    bag,
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

  /// Stages: 0 normalise, 1-4 stem, 5 blocks, 6-8 output. In a full pass every frame goes through all of them.
  static constexpr WorkspacePlan<places> plan(bool full) {
    const std::size_t n = chunk, s = n * frames, out = full ? s : n;
    std::array<Region, places> r{};
    r[mean] = {"mean", n * fields, 0, 8};
    r[deviation] = {"deviation", n * fields, 0, 8};
    r[planes] = {"planes", 2 * s * fields, 0, 0};
    r[standard] = {"standardised input", full ? s * fields * pixels : 0, 0, 1};
    r[bag] = {"states", full ? s * pixels * q : 0, 1, 2};
    r[fine] = {"stem, 4x4 patches", s * 16 * positions * q, 2, 3};
    r[coarse] = {"stem, 8x8 patches", s * 4 * positions * q, 3, 4};
    r[tokens] = {"tokens", s * positions * Dim, 4, full ? 6 : 5};
    r[mixing] = {"qkv and attended, or hidden", 4 * s * positions * Dim, 5, 5};
    r[mixed] = {"branch", s * positions * Dim, 5, 5};
    r[scale] = {"scale", s * Dim, 2, 8};
    r[shift] = {"shift", s * Dim, 5, 5};
    r[last] = {"last frame's tokens", full ? 0 : n * positions * Dim, 5, 6};
    r[out_coarse] = {"output, 8x8 patches", out * 4 * positions * q, 6, 7};
    r[out_fine] = {"output, 4x4 patches", out * 16 * positions * q, 7, 8};
    r[patches] = {"output pixels", out * fields * pixels, 8, 8};
    return plan_workspace(r);
  }

 public:
  static constexpr auto inference_plan = plan(false);
  static constexpr auto full_plan = plan(true);

  /// Numbers of workspace a forward pass needs, for any batch.
  static constexpr std::size_t workspace_size = inference_plan.count;
  static constexpr std::size_t full_workspace_size = full_plan.count;

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
      const int batch = std::min(chunk, x.extent(0) - first), samples = batch * frames;
      const auto at = [=](Place place) { return workspace + inference_plan.offset[place]; };
      const Real* in = x.data_handle() + static_cast<std::ptrdiff_t>(first) * frames * fields * pixels;
      ops::field_statistics(exec, batch, frames, fields, pixels, 1e-7, in, at(planes), at(mean), at(deviation));
      ops::matmul(exec, samples * 16 * positions, FoldedLoader{in, at(mean), at(deviation)},
                  Packed<const Real, LinearLayout<16 * fields, q>>(prepared.folded), at(fine), q,
                  ops::BiasEpilogue<Real>{prepared.folded_bias.data_handle()});
      Stem::from_patches(exec, w.embed, batch, frames, at(tokens), {at(fine), at(coarse), at(scale)});
      const auto scratch = block_scratch(at, samples);
      for (std::size_t b = 0; b < Config::blocks; ++b)
        Block::forward(exec, w.blocks[b], prepared.bias[b], batch, at(tokens), scratch, Config::layer_norm_eps,
                       b + 1 == Config::blocks ? at(last) : nullptr);
      Output::forward(exec, w.debed, prepared.head, prepared.head_bias.data_handle(), batch, 1, at(last), at(patches),
                      {at(out_fine), at(out_coarse), at(scale)});
      Output::to_image(exec, batch, at(patches), at(deviation), at(mean),
                       y.data_handle() + static_cast<std::ptrdiff_t>(first) * fields * pixels);
    }
    exec.fence("AViT");  // Kokkos' own label is too long for a string without an allocation
  }

  /// The original's computation, every frame through every layer, with stochastic depth and a trace of all activations.
  /// keep: for every block the branches' factors, each (batch, frames), null for 1 (blocks::SpaceTimeBlock::Keep).
  /// workspace: full_workspace_size numbers.
  template <class Exec, class Tracer = NoTrace>
  static void forward_full(const Exec& exec, const Weights& w, const Prepared& prepared, In x, Out y, Real* workspace,
                           std::span<const typename Block::Keep> keep = {}, const Tracer& trace = {}) {
    for (int first = 0; first < x.extent(0); first += chunk) {
      const int batch = std::min(chunk, x.extent(0) - first), samples = batch * frames;
      const auto at = [=](Place place) { return workspace + full_plan.offset[place]; };
      const Real* in = x.data_handle() + static_cast<std::ptrdiff_t>(first) * frames * fields * pixels;
      ops::field_statistics(exec, batch, frames, fields, pixels, 1e-7, in, at(planes), at(mean), at(deviation));
      ops::standardise(exec, batch, frames, fields, pixels, in, at(mean), at(deviation), at(standard));
      SpaceBag::forward(exec, samples, pixels, fields, prepared.bag_columns.data_handle(),
                        prepared.bag_constant.data_handle(), at(standard), at(bag));
      if constexpr (Tracer::active) {
        trace("norm/mean", "bc", {batch, fields}, at(mean));
        trace("norm/std_plus_eps", "bc", {batch, fields}, at(deviation));
        trace("space_bag", "btijc", {batch, frames, Grid::height, Grid::width, q}, at(bag));
      }
      Stem::forward(exec, w.embed, batch, frames, at(bag), at(tokens), {at(fine), at(coarse), at(scale)},
                    trace / "embed");
      const auto scratch = block_scratch(at, samples);
      for (std::size_t b = 0; b < Config::blocks; ++b) {
        typename Block::Keep flags = keep.empty() ? typename Block::Keep{} : keep[b];
        for (const Real** branch : {&flags.temporal, &flags.spatial_att, &flags.spatial_mlp})
          if (*branch) *branch += first * frames;
        Block::forward(exec, w.blocks[b], prepared.bias[b], batch, at(tokens), scratch, Config::layer_norm_eps, nullptr,
                       flags, trace / "blocks" / static_cast<int>(b));
      }
      Output::forward(exec, w.debed, prepared.head, prepared.head_bias.data_handle(), batch, frames, at(tokens),
                      at(patches), {at(out_fine), at(out_coarse), at(scale)}, trace / "debed");
      if constexpr (Tracer::active) {
        std::vector<Real> image(static_cast<std::size_t>(samples) * fields * pixels);
        Output::to_image(exec, samples, at(patches), nullptr, nullptr, image.data());
        trace("debed", "btcij", {batch, frames, fields, Grid::height, Grid::width}, image.data());
      }
      for (int b = 0; b < batch; ++b)  // the last frame of every sample
        Output::to_image(exec, 1, at(patches) + static_cast<std::ptrdiff_t>(b * frames + frames - 1) * fields * pixels,
                         at(deviation) + b * fields, at(mean) + b * fields,
                         y.data_handle() + static_cast<std::ptrdiff_t>(first + b) * fields * pixels);
    }
    exec.fence("AViT");
  }

 private:
  static blocks::BlockScratch<Real> block_scratch(const auto& at, int samples) {
    const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(samples) * positions * Dim;
    return {at(mixing), at(mixing) + 3 * size, at(mixing), at(mixed), at(scale), at(shift)};
  }

  /// Standardised 4x4 patches of the input, in nested order; k = (field, a, b).
  struct FoldedLoader {
    const Real* x;
    const Real* mean;
    const Real* deviation;

    template <int Depth>
    void load_row(int row, int k, Real* to) const {
      static_assert(Depth % 4 == 0);
      constexpr int L = ops::lanes_for<Real>(4);
      using Nested = ops::NestedPositions<rows, columns>;
      const std::ptrdiff_t sample = row / Nested::count;
      const int position = row % Nested::count, first_field = static_cast<int>(sample / frames) * fields;
      const int top = 4 * Nested::row(position), left = 4 * Nested::column(position);
      for (int i = 0; i < Depth; i += 4) {
        const int c = (k + i) / 16, a = (k + i) % 16 / 4;
        const Real* from = x + ((sample * fields + c) * Grid::height + top + a) * Grid::width + left;
        for (int b = 0; b < 4; b += L)
          ops::store<L>(to + i + b, (ops::load<L>(from + b) - mean[first_field + c]) / deviation[first_field + c]);
      }
    }
  };

  /// folded[(c, a, b), o] = sum_p conv0[(a, b, p), o] bag[c, p]: two linear maps with nothing between them.
  static void fold_stem(const Weights& w, const Prepared& p) {
    for (int o = 0; o < q; ++o) {
      Real constant = 0;
      for (int ab = 0; ab < 16; ++ab)
        for (int in = 0; in < q; ++in) constant += w.embed.conv0(ab * q + in, o) * p.bag_constant(in);
      p.folded_bias(o) = constant;
      for (int c = 0; c < fields; ++c)
        for (int ab = 0; ab < 16; ++ab) {
          Real sum = 0;
          for (int in = 0; in < q; ++in) sum += w.embed.conv0(ab * q + in, o) * p.bag_columns(c, in);
          p.folded(16 * c + ab, o) = sum;
        }
    }
    // Surplus columns of the last panel are multiplied but never stored.
    for (int n = q; n < p.folded.padded_N; ++n)
      for (int k = 0; k < p.folded.K; ++k) p.folded(k, n) = 0;
  }
};

}  // namespace fieldstep::models
