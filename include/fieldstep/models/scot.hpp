#pragma once
#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/convnext_block.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/patch_merging.hpp>
#include <fieldstep/blocks/patch_recovery.hpp>
#include <fieldstep/blocks/patch_unmerging.hpp>
#include <fieldstep/blocks/resnet_block.hpp>
#include <fieldstep/blocks/swin_stage.hpp>
#include <fieldstep/blocks/token_embedding.hpp>
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/models/scot_variants.hpp>
#include <fieldstep/ops/add.hpp>
#include <fieldstep/ops/resample.hpp>

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
  static_assert(stages > 0 && std::ranges::min(Config::depths) > 0, "ScOT: every stage needs at least one layer");
  static constexpr int frames = 1, fields = Grid::fields, out_fields = Config::out_channels;
  static constexpr int height = Grid::height, width = Grid::width, pixels = height * width;
  using Conditions = ScotConditions;

  /// The image as the network sees it: the frame, or what it is resampled to.
  static constexpr int image_height = Config::image_size > 0 ? Config::image_size : height;
  static constexpr int image_width = Config::image_size > 0 ? Config::image_size : width;
  static constexpr int image_pixels = image_height * image_width;
  /// What no parameter tells of a network, beside the size of its image.
  static constexpr int window = Config::window;
  static constexpr bool learn_residual = Config::learn_residual;
  static constexpr double layer_norm_eps = Config::layer_norm_eps;
  static constexpr SkipBlock skip_block = Config::skip_block;
  static constexpr bool resampled = image_height != height || image_width != width;
  static_assert(!resampled || height == width, "ScOT: only square frames can be resampled to image_size");
  static_assert(image_height % Config::patch == 0 && image_width % Config::patch == 0,
                "ScOT: height and width must be multiples of patch");
  static_assert(Config::window > 1 && std::min(image_height, image_width) / Config::patch >> (stages - 1) > 1,
                "ScOT: no window of 2x2 tokens fits the coarsest stage");
  static_assert(!Config::learn_residual || fields >= out_fields, "ScOT: learn_residual needs every output as an input");

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
    static constexpr int rows = halved(image_height / Config::patch, I),
                         columns = halved(image_width / Config::patch, I);
    static constexpr int positions = rows * columns, size = positions * dim;
    /// The original fixes window and shift by the grid without padding.
    static constexpr int nominal = std::min(image_height, image_width) / Config::patch >> I;
    static constexpr int window = std::min(Config::window, nominal);
    static constexpr int shift = nominal <= Config::window ? 0 : Config::window / 2;
    static constexpr int hidden = static_cast<int>(Config::mlp_ratio * dim);
    static constexpr int trained_window = [] {
      constexpr auto trained = Config::trained_windows;
      return I < static_cast<int>(trained.size()) ? *(trained.begin() + I) : 0;
    }();
    using Layer = blocks::SwinLayer<Real, Norm<dim>, dim, Config::heads[I], rows, columns, window, hidden,
                                    trained_window, Config::qkv_bias>;
    using Skip = std::conditional_t<skip_block == SkipBlock::resnet, blocks::ResNetBlock<Real, dim, rows, columns>,
                                    blocks::ConvNeXtBlock<Real, Norm<dim>, dim, rows, columns>>;
    template <class R>
    using Skips = std::array<typename Skip::template Params<R>, Config::skip_blocks[I]>;
  };
  template <int I>
  using Merging = blocks::PatchMerging<Real, Norm<2 * Stage<I>::dim>, Stage<I>::dim, Stage<I>::rows, Stage<I>::columns>;
  /// From stage I to the finer I - 1.
  template <int I>
  using Unmerging =
      blocks::PatchUnmerging<Real, Norm<Stage<I>::dim / 2>, Stage<I>::dim, Stage<I - 1>::rows, Stage<I - 1>::columns>;
  using First = Stage<0>;
  using Embedding = blocks::TokenEmbedding<Real, Norm<First::dim>, fields, First::dim, Config::patch, First::rows,
                                           First::columns, Config::mask_token, Config::absolute_positions>;
  using Recovery = blocks::PatchRecovery<Real, First::dim, out_fields, Config::patch, First::rows, First::columns>;
  using In = Batched<const Real, fields, height, width>;
  using Out = Batched<Real, out_fields, height, width>;

 private:
  using Indices = std::make_integer_sequence<int, stages>;

  template <int I, bool Last = I + 1 == stages>
  struct StageOf {
    using Encoder = blocks::EncoderStage<Real, typename Stage<I>::Layer, Stage<I>::depth, Merging<I>>;
  };
  template <int I>
  struct StageOf<I, true> {
    using Encoder = blocks::EncoderStage<Real, typename Stage<I>::Layer, Stage<I>::depth>;
  };
  template <int I, bool Finest = I == 0>
  struct Upwards {
    using Decoder = blocks::DecoderStage<Real, typename Stage<I>::Layer, Stage<I>::depth, Unmerging<I>>;
  };
  template <int I>
  struct Upwards<I, true> {
    using Decoder = blocks::DecoderStage<Real, typename Stage<I>::Layer, Stage<I>::depth>;
  };

  template <class Tuple>
  struct LayerList {
    Tuple layers;
    using hana_accessors_impl = Fields<Field<"layers", &LayerList::layers>>;
  };

 public:
  /// The sides of the U at resolution I.
  template <int I>
  using Encoder = typename StageOf<I>::Encoder;
  template <int I>
  using Decoder = typename Upwards<I>::Decoder;

 private:
  template <class R, int... I>
  static auto encoder_of(std::integer_sequence<int, I...>)
      -> LayerList<std::tuple<typename Encoder<I>::template Params<R>...>>;
  /// The original counts the decoder from the coarsest stage.
  template <class R, int... I>
  static auto decoder_of(std::integer_sequence<int, I...>)
      -> LayerList<std::tuple<typename Decoder<stages - 1 - I>::template Params<R>...>>;
  template <class R, int... I>
  static auto skips_of(std::integer_sequence<int, I...>) -> std::tuple<typename Stage<I>::template Skips<R>...>;
  template <int... I>
  static auto prepared_of(std::integer_sequence<int, I...>) -> std::tuple<typename Encoder<I>::Prepared...>;

 public:
  template <class R>
  struct Params {
    typename Embedding::template Params<R> embeddings;
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

  /// Position biases and temperatures, which depend on the weights alone; both sides by resolution. Fourier series.
  struct Prepared {
    decltype(prepared_of(Indices())) encoder, decoder;
    PresentIf<resampled, Tensor<Real, 2, height, image_height>> to_image{nullptr};
    PresentIf<resampled, Tensor<Real, 2, image_height, height>> from_image{nullptr};
    using hana_accessors_impl =
        Fields<Field<"encoder", &Prepared::encoder>, Field<"decoder", &Prepared::decoder>,
               Field<"to_image", &Prepared::to_image>, Field<"from_image", &Prepared::from_image>>;
  };
  static constexpr std::size_t prepared_size = arena_count<Prepared>();

  /// Fills prepared_size numbers at `memory`.
  template <class Exec>
  static Prepared prepare(const Exec& exec, const Weights& w, const Conditions&, Real* memory) {
    Prepared p = bind<Prepared>(memory);
    for_each_stage([&]<int I>() {
      Encoder<I>::prepare(exec, encoder_stage<I>(w), std::get<I>(p.encoder));
      Decoder<I>::prepare(exec, decoder_stage<I>(w), std::get<I>(p.decoder));
    });
    if constexpr (resampled) {
      ops::resampling_matrix<height, image_height>(p.to_image.data_handle());
      ops::resampling_matrix<image_height, height>(p.from_image.data_handle());
    }
    return p;
  }

  /// Samples that go through the network together: enough rows for the products of the coarse stages.
  static constexpr int chunk = 4;

  /// Calls visit<I>() for every stage, finest first.
  template <class Visit>
  static constexpr void for_each_stage(const Visit& visit) {
    [&]<int... I>(std::integer_sequence<int, I...>) { (visit.template operator()<I>(), ...); }
    (Indices());
  }
  /// The parameters of the two sides of the U at resolution I.
  template <int I, class P>
  static const auto& encoder_stage(const P& w) {
    return std::get<static_cast<std::size_t>(I)>(w.encoder.layers);
  }
  template <int I, class P>
  static const auto& decoder_stage(const P& w) {
    return std::get<static_cast<std::size_t>(stages - 1 - I)>(w.decoder.layers);
  }

 private:
  static constexpr auto table_ = make_param_table<Params<Real>>();

  /// Places 0 ... stages - 1 hold the inputs of the encoder's stages, the next ones their results: the skips, in which
  /// the decoder then works.
  enum Place { wide = 2 * stages, branch, affine, patches, framed, image, out_image, places };

  /// Steps: stage i of the encoder is i, of the decoder 2 stages - 1 - i, the recovery 2 stages.
  static constexpr WorkspacePlan<places> make_plan() {
    std::array<Region, places> r{};
    std::size_t widest = 0, finest = 0, channels = 0;
    constexpr std::size_t n = chunk;
    for_each_stage([&]<int I>() {
      using S = Stage<I>;
      r[I] = {"stage input", n * S::size, I == 0 ? 0 : I - 1, I};
      r[stages + I] = {"skip", n * S::size, I, 2 * stages - I};
      widest = std::max(widest, n * S::positions * std::max<std::size_t>(4 * S::dim, S::hidden));
      if constexpr (I > 0) widest = std::max(widest, n * (2 * std::size_t{S::size} + Stage<I - 1>::size));
      finest = std::max<std::size_t>(finest, n * S::size);
      channels = std::max<std::size_t>(channels, S::dim);
    });
    constexpr int last = 2 * stages;
    r[wide] = {"queries, keys, values and attended, or hidden", widest, 0, last - 1};
    r[branch] = {"branch", finest, 0, last - 1};
    r[affine] = {"scale and shift", 2 * n * channels, 0, last - 1};
    r[patches] = {"patches", n * First::positions * Recovery::patch_size, last, last};
    r[framed] = {"framed image", n * Recovery::framed_size, last, last};
    r[image] = {"resampled input", resampled ? n * fields * image_pixels : 0, 0, last};
    r[out_image] = {"output to resample", resampled ? n * out_fields * image_pixels : 0, last, last};
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
      sum += Config::skip_blocks[I] * (skip_block == SkipBlock::resnet ? 18 * n * d * d : 49 * n * d + 8 * n * d * d);
      if constexpr (I + 1 < stages) sum += Merging<I>::rows * Merging<I>::columns * 8. * d * d;
      if constexpr (I > 0) sum += n * 2 * d * d + Stage<I - 1>::positions * d * d / 4;
    });
    sum += First::positions * double(First::dim) * (Embedding::Patches::patch_size + Recovery::patch_size);
    sum += 25. * out_fields * out_fields * image_pixels;
    if constexpr (resampled)  // four real products with each side of the complex matrices
      sum += 2. * height * image_height * ((fields + out_fields) * (height + image_height));
    return 2 * batch * sum;
  }

  /// Overwrites y; allocates nothing. time: the lead time of every sample, in the units of training; workspace:
  /// workspace_size numbers, 64-byte aligned.
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, In x, const Real* time, Out y,
                      Real* workspace) {
    for (int first = 0; first < x.extent(0); first += chunk)
      pass(exec, w, prepared, std::min(chunk, x.extent(0) - first),
           x.data_handle() + std::ptrdiff_t{first} * fields * pixels, time + first,
           y.data_handle() + std::ptrdiff_t{first} * out_fields * pixels, workspace);
    exec.fence("ScOT");
  }

  static constexpr int depth(int stage) { return Config::depths[static_cast<std::size_t>(stage)]; }
  /// Layers of encoder and decoder together.
  static constexpr int layer_count = [] {
    int sum = 0;
    for (int stage = 0; stage < stages; ++stage) sum += 2 * depth(stage);
    return sum;
  }();

  /// y += x where the network computes the change; x, y: images at the network's resolution.
  template <class Exec>
  static void add_input(const Exec& exec, int samples, const Real* x, Real* y) {
    for (int s = 0; s < samples; ++s)
      ops::add(exec, std::size_t{out_fields} * image_pixels, x + std::ptrdiff_t{s} * fields * image_pixels,
               y + std::ptrdiff_t{s} * out_fields * image_pixels);
  }

 private:
  template <class Exec>
  static void pass(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* x,
                   const Real* time, Real* y, Real* workspace) {
    const auto at = [&](int place) { return workspace + plan.offset[static_cast<std::size_t>(place)]; };
    const blocks::TokenScratch<Real> scratch{at(wide), at(branch), at(affine)};

    if constexpr (resampled) {
      ops::resample<height, image_height>(exec, samples * fields, prepared.to_image.data_handle(), x, at(image));
      x = at(image);
    }
    Embedding::forward(exec, w.embeddings, samples, time, x, at(0), scratch.affine);
    for_each_stage([&]<int I>() {
      using S = Stage<I>;
      Real* h = at(stages + I);
      Encoder<I>::forward(exec, encoder_stage<I>(w), std::get<I>(prepared.encoder), samples, time, S::shift,
                          layer_norm_eps, at(I), h, I + 1 < stages ? at(I + 1) : nullptr, scratch);
      for (const auto& block : std::get<I>(w.residual_blocks)) {
        if constexpr (skip_block == SkipBlock::resnet)
          S::Skip::forward(exec, block, samples, h, h, scratch);
        else
          S::Skip::forward(exec, block, samples, time, layer_norm_eps, h, h, scratch);
      }
    });
    for_each_stage([&]<int J>() {
      constexpr int I = stages - 1 - J;
      Real* h = at(stages + I);
      Decoder<I>::forward(exec, decoder_stage<I>(w), std::get<I>(prepared.decoder), samples, time, Stage<I>::shift,
                          layer_norm_eps, h, h, I > 0 ? at(stages + I - 1) : nullptr, scratch);
    });

    Real* out = resampled ? at(out_image) : y;
    Recovery::forward(exec, w.patch_recovery, samples, at(stages), out, {at(patches), at(framed)});
    if constexpr (Config::learn_residual) add_input(exec, samples, x, out);
    if constexpr (resampled)
      ops::resample<image_height, height>(exec, samples * out_fields, prepared.from_image.data_handle(),
                                          static_cast<const Real*>(out), y);
  }
};

}  // namespace fieldstep::models
