#pragma once
#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/convnext_block.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/patch_embedding.hpp>
#include <fieldstep/blocks/patch_merging.hpp>
#include <fieldstep/blocks/patch_recovery.hpp>
#include <fieldstep/blocks/patch_unmerging.hpp>
#include <fieldstep/blocks/swin_layer.hpp>
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/models/scot_variants.hpp>

#include <algorithm>
#include <array>
#include <tuple>
#include <type_traits>
#include <utility>

namespace fieldstep::models {

/// Nothing: what a run of ScOT depends on, the lead time, is an input.
struct ScotConditions {};

/// Poseidon's ScOT: from one frame of fields to the frame a lead time later, by a U-shaped Swin V2 transformer whose
/// norms depend on the lead time.
///   Config: ScotDefaults and its like; Grid: one frame, fields = input channels
///   x: (batch, fields, height, width), time: (batch) -> y: (batch, out_channels, height, width)
/// Source: Herde et al. 2024, arXiv:2405.19101; Poseidon's scOT/model.py. Numbers follow the PyTorch original.
template <class Config, class Grid, class Real = float>
struct ScOT {
  static constexpr int stages = static_cast<int>(Config::depths.size());
  static_assert(Grid::frames == 1, "ScOT: reads one frame");
  static_assert(Config::heads.size() == stages && Config::skip_blocks.size() == stages,
                "ScOT: depths, heads and skip_blocks need one entry a stage");
  static_assert(Grid::height % Config::patch == 0 && Grid::width % Config::patch == 0,
                "ScOT: height and width must be multiples of patch");
  static constexpr int frames = 1, fields = Grid::fields, out_fields = Config::out_channels;
  static constexpr int height = Grid::height, width = Grid::width, pixels = height * width;
  using Conditions = ScotConditions;

  template <int Dim>
  using Norm = std::conditional_t<Config::use_conditioning, blocks::ConditionalLayerNorm<Real, Dim>,
                                  blocks::LayerNorm<Real, Dim>>;
  static constexpr int halved(int extent, int times) {  // odd extents are padded
    for (int i = 0; i < times; ++i) extent = (extent + 1) / 2;
    return extent;
  }

  /// What the two sides of the U have in common at a resolution.
  template <int I>
  struct Stage {
    static constexpr int dim = Config::embed_dim << I, depth = Config::depths[I];
    static constexpr int rows = halved(Grid::height / Config::patch, I),
                         columns = halved(Grid::width / Config::patch, I);
    static constexpr int positions = rows * columns, size = positions * dim;
    /// The original fixes window and shift by the grid without padding.
    static constexpr int nominal = std::min(Grid::height / Config::patch >> I, Grid::width / Config::patch >> I);
    static constexpr int window = std::min(Config::window, nominal);
    static constexpr int shift = nominal <= Config::window ? 0 : Config::window / 2;
    static constexpr int hidden = Config::mlp_ratio * dim;
    using Layer = blocks::SwinLayer<Real, Norm<dim>, dim, Config::heads[I], rows, columns, window, hidden>;
    using Skip = blocks::ConvNeXtBlock<Real, Norm<dim>, dim, rows, columns>;
    template <class R>
    using Layers = std::array<typename Layer::template Params<R>, depth>;
    template <class R>
    using Skips = std::array<typename Skip::template Params<R>, Config::skip_blocks[I]>;
    using Prepared = std::array<typename Layer::Prepared, depth>;
  };
  template <int I>
  using Merging = blocks::PatchMerging<Real, Norm<2 * Stage<I>::dim>, Stage<I>::dim, Stage<I>::rows, Stage<I>::columns>;
  /// From stage I to the finer I - 1.
  template <int I>
  using Unmerging =
      blocks::PatchUnmerging<Real, Norm<Stage<I>::dim / 2>, Stage<I>::dim, Stage<I - 1>::rows, Stage<I - 1>::columns>;
  using First = Stage<0>;
  using Embedding = blocks::PatchEmbedding<Real, fields, First::dim, Config::patch, First::rows, First::columns>;
  using Recovery = blocks::PatchRecovery<Real, First::dim, out_fields, Config::patch, First::rows, First::columns>;
  using In = Batched<const Real, fields, Grid::height, Grid::width>;
  using Out = Batched<Real, out_fields, Grid::height, Grid::width>;

 private:
  using Indices = std::make_integer_sequence<int, stages>;

  template <class R>
  struct Embeddings {
    typename Embedding::template Params<R> patches;
    typename Norm<First::dim>::template Params<R> norm;
    using hana_accessors_impl =
        Fields<Field<"patch_embeddings", &Embeddings::patches>, Field<"norm", &Embeddings::norm>>;
  };

  template <class R, int I, bool Last = I + 1 == stages>
  struct EncoderStage {
    typename Stage<I>::template Layers<R> blocks;
    typename Merging<I>::template Params<R> downsample;
    using hana_accessors_impl =
        Fields<Field<"blocks", &EncoderStage::blocks>, Field<"downsample", &EncoderStage::downsample>>;
  };
  template <class R, int I>
  struct EncoderStage<R, I, true> {
    typename Stage<I>::template Layers<R> blocks;
    using hana_accessors_impl = Fields<Field<"blocks", &EncoderStage::blocks>>;
  };

  template <class R, int I>
  struct DecoderStage {
    typename Stage<I>::template Layers<R> blocks;
    typename Unmerging<I>::template Params<R> upsample;
    using hana_accessors_impl =
        Fields<Field<"blocks", &DecoderStage::blocks>, Field<"upsample", &DecoderStage::upsample>>;
  };
  template <class R>
  struct DecoderStage<R, 0> {
    typename Stage<0>::template Layers<R> blocks;
    using hana_accessors_impl = Fields<Field<"blocks", &DecoderStage::blocks>>;
  };

  template <class Tuple>
  struct LayerList {
    Tuple layers;
    using hana_accessors_impl = Fields<Field<"layers", &LayerList::layers>>;
  };
  template <class R, int... I>
  static auto encoder_of(std::integer_sequence<int, I...>) -> LayerList<std::tuple<EncoderStage<R, I>...>>;
  /// The original counts the decoder from the coarsest stage.
  template <class R, int... I>
  static auto decoder_of(std::integer_sequence<int, I...>) -> LayerList<std::tuple<DecoderStage<R, stages - 1 - I>...>>;
  template <class R, int... I>
  static auto skips_of(std::integer_sequence<int, I...>) -> std::tuple<typename Stage<I>::template Skips<R>...>;
  template <int... I>
  static auto prepared_of(std::integer_sequence<int, I...>) -> std::tuple<typename Stage<I>::Prepared...>;

 public:
  template <class R>
  struct Params {
    Embeddings<R> embeddings;
    decltype(encoder_of<R>(Indices())) encoder;
    decltype(decoder_of<R>(Indices())) decoder;
    typename Recovery::template Params<R> patch_recovery;
    decltype(skips_of<R>(Indices())) residual_blocks;
    using hana_accessors_impl =
        Fields<Field<"embeddings", &Params::embeddings>, Field<"encoder", &Params::encoder>,
               Field<"decoder", &Params::decoder>, Field<"patch_recovery", &Params::patch_recovery>,
               Field<"residual_blocks", &Params::residual_blocks>>;
  };
  using Weights = Params<const Real>;

  /// The parameters in state-dict order, and the numbers their arena holds.
  static ParamTable table() { return table_; }
  static constexpr std::size_t arena_size = arena_count<Params<Real>>();

  /// Position biases and temperatures, which depend on the weights alone; both sides by resolution.
  struct Prepared {
    decltype(prepared_of(Indices())) encoder, decoder;
    using hana_accessors_impl = Fields<Field<"encoder", &Prepared::encoder>, Field<"decoder", &Prepared::decoder>>;
  };
  static constexpr std::size_t prepared_size = arena_count<Prepared>();

  /// Fills prepared_size numbers at `memory`.
  static Prepared prepare(const Weights& w, const Conditions&, Real* memory) {
    Prepared p = bind<Prepared>(memory);
    for_each_stage([&]<int I>() {
      for (std::size_t j = 0; j < Stage<I>::depth; ++j) {
        Stage<I>::Layer::Attention::prepare(encoder_stage<I>(w).blocks[j].attention, std::get<I>(p.encoder)[j]);
        Stage<I>::Layer::Attention::prepare(decoder_stage<I>(w).blocks[j].attention, std::get<I>(p.decoder)[j]);
      }
    });
    return p;
  }

  /// Samples that go through the network together: enough rows for the products of the coarse stages.
  static constexpr int chunk = 4;

 private:
  static constexpr auto table_ = make_param_table<Params<Real>>();

  /// Calls visit<I>() for every stage, finest first.
  template <class Visit>
  static constexpr void for_each_stage(const Visit& visit) {
    [&]<int... I>(std::integer_sequence<int, I...>) { (visit.template operator()<I>(), ...); }
    (Indices());
  }
  template <int I>
  static const auto& encoder_stage(const Weights& w) {
    return std::get<static_cast<std::size_t>(I)>(w.encoder.layers);
  }
  template <int I>
  static const auto& decoder_stage(const Weights& w) {
    return std::get<static_cast<std::size_t>(stages - 1 - I)>(w.decoder.layers);
  }

  /// Places 0 ... stages - 1 hold the inputs of the encoder's stages, the next ones their results: the skips, in which
  /// the decoder then works.
  enum Place { wide = 2 * stages, branch, affine, patches, framed, places };

  /// Steps: stage i of the encoder is i, of the decoder 2 stages - 1 - i, the recovery 2 stages.
  static constexpr WorkspacePlan<places> make_plan() {
    std::array<Region, places> r{};
    std::size_t widest = 0, finest = 0, channels = 0;
    const std::size_t n = chunk;
    for_each_stage([&]<int I>() {
      using S = Stage<I>;
      r[I] = {"stage input", n * S::size, I == 0 ? 0 : I - 1, I};
      r[stages + I] = {"skip", n * S::size, I, 2 * stages - I};
      widest = std::max(widest, n * S::positions * std::max<std::size_t>(4 * S::dim, S::hidden));
      if constexpr (I > 0) widest = std::max(widest, n * (2 * std::size_t{S::size} + Stage<I - 1>::size));
      finest = std::max<std::size_t>(finest, n * S::size);
      channels = std::max<std::size_t>(channels, S::dim);
    });
    r[wide] = {"queries, keys, values and attended, or hidden", widest, 0, 2 * stages - 1};
    r[branch] = {"branch", finest, 0, 2 * stages - 1};
    r[affine] = {"scale and shift", 2 * n * channels, 0, 2 * stages - 1};
    r[patches] = {"patches", n * First::positions * Recovery::patch_size, 2 * stages, 2 * stages};
    r[framed] = {"framed image", n * Recovery::framed_size, 2 * stages, 2 * stages};
    return plan_workspace(r);
  }

 public:
  static constexpr auto plan = make_plan();
  /// Numbers of workspace a forward pass needs, for any batch.
  static constexpr std::size_t workspace_size = plan.count;

  /// Multiply-adds x 2 of the linear layers, convolutions and products of attention.
  static constexpr double flop(int batch) {
    double sum = 0;
    for_each_stage([&]<int I>() {
      using S = Stage<I>;
      const double n = S::positions, d = S::dim, w = S::window * S::window;
      sum += 2 * S::depth * (4 * n * d * d + 2 * n * d * S::hidden + 2 * n * w * d);
      sum += Config::skip_blocks[I] * (49 * n * d + 8 * n * d * d);
      if constexpr (I + 1 < stages) sum += Merging<I>::rows * Merging<I>::columns * 8. * d * d;
      if constexpr (I > 0) sum += n * 2 * d * d + Stage<I - 1>::positions * d * d / 4;
    });
    sum += First::positions * double(First::dim) * (Embedding::patch_size + Recovery::patch_size);
    sum += 25. * out_fields * out_fields * pixels;
    return 2 * batch * sum;
  }

  /// Overwrites y; allocates nothing. time: the lead time of every sample, in the units of training; workspace:
  /// workspace_size numbers, 64-byte aligned.
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, In x, const Real* time, Out y,
                      Real* workspace) {
    for (int first = 0; first < x.extent(0); first += chunk) {
      const int samples = std::min(chunk, x.extent(0) - first);
      pass(exec, w, prepared, samples, x.data_handle() + std::ptrdiff_t{first} * fields * pixels, time + first,
           y.data_handle() + std::ptrdiff_t{first} * out_fields * pixels, workspace);
    }
    exec.fence("ScOT");
  }

 private:
  template <class Exec>
  static void pass(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* x,
                   const Real* time, Real* y, Real* workspace) {
    const auto at = [=](int place) { return workspace + plan.offset[static_cast<std::size_t>(place)]; };
    const blocks::TokenScratch<Real> scratch{at(wide), at(branch), at(affine)};

    Embedding::forward(exec, w.embeddings.patches, samples, x, at(0));
    ops::layer_norm<First::dim>(exec, samples, First::positions, static_cast<const Real*>(at(0)),
                                Norm<First::dim>::affine(w.embeddings.norm, samples, time, at(affine)), 1e-5, at(0));
    for_each_stage([&]<int I>() {
      using S = Stage<I>;
      Real *in = at(I), *h = at(stages + I);
      for (int j = 0; j < S::depth; ++j)
        S::Layer::forward(exec, encoder_stage<I>(w).blocks[static_cast<std::size_t>(j)],
                          std::get<I>(prepared.encoder)[static_cast<std::size_t>(j)], samples, time,
                          j % 2 == 0 ? 0 : S::shift, Config::layer_norm_eps, j == 0 ? in : h, h, scratch);
      if constexpr (I + 1 < stages)
        Merging<I>::forward(exec, encoder_stage<I>(w).downsample, samples, time, h, in, at(I + 1), scratch.affine);
      for (const auto& block : std::get<I>(w.residual_blocks))
        S::Skip::forward(exec, block, samples, time, Config::layer_norm_eps, h, scratch.branch, scratch.wide,
                         scratch.affine);
    });
    for_each_stage([&]<int J>() {
      constexpr int I = stages - 1 - J;
      using S = Stage<I>;
      Real* h = at(stages + I);
      for (int j = 0; j < S::depth; ++j)  // the last block of a stage is never shifted
        S::Layer::forward(exec, decoder_stage<I>(w).blocks[static_cast<std::size_t>(j)],
                          std::get<I>(prepared.decoder)[static_cast<std::size_t>(j)], samples, time,
                          (S::depth - 1 - j) % 2 == 0 ? 0 : S::shift, Config::layer_norm_eps, h, h, scratch);
      if constexpr (I > 0)
        Unmerging<I>::forward(exec, decoder_stage<I>(w).upsample, samples, time, h, at(stages + I - 1), scratch.wide,
                              scratch.affine);
    });
    Recovery::forward(exec, w.patch_recovery, samples, at(stages), y, at(patches), at(framed));
    if constexpr (Config::learn_residual) add_input(exec, samples, x, y);
  }

  template <class Exec>
  static void add_input(const Exec& exec, int samples, const Real* x, Real* y) {
    static_assert(!Config::learn_residual || fields >= out_fields,
                  "ScOT: learn_residual needs every output as an input");
    for_ranges(exec, samples * out_fields, [=](int begin, int end) {
      for (int plane = begin; plane < end; ++plane) {
        const Real* from = x + (std::ptrdiff_t{plane} / out_fields * fields + plane % out_fields) * pixels;
        for (int i = 0; i < pixels; ++i) y[std::ptrdiff_t{plane} * pixels + i] += from[i];
      }
    });
  }
};

}  // namespace fieldstep::models
