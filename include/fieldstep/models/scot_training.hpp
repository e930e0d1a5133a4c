#pragma once
#include <fieldstep/core/activations.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/models/scot.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <tuple>
#include <utility>

namespace fieldstep::models {

/// ScOT in training: a forward pass that leaves what the backward pass reads, with dropout, stochastic depth, masks and
/// batch statistics; the gradients of all parameters, of the frame and of the lead time. The whole batch goes through
/// at once, in one workspace.
/// Source: as ScOT's; Poseidon's scOT/model.py in training mode.
template <class Net_>
struct ScotTraining {
  using Net = Net_;
  using Real = typename Net::Out::value_type;
  using Weights = typename Net::Weights;
  using Gradient = typename Net::template Params<Real>;
  using Prepared = typename Net::Prepared;
  static constexpr int stages = Net::stages;

  /// Factors of 0 or 1 / (1 - rate); null for 1.
  struct Randomness {
    const Real* masked = nullptr;      ///< (batch, tokens): 1 where the mask token stands in for a patch
    const Real* embeddings = nullptr;  ///< factors of the tokens' dropout: (batch, tokens, embed_dim)
    /// Factors within the layers, encoder's and decoder's in the order of execution; null for none.
    const blocks::SwinKeep<Real>* layers = nullptr;
    /// ResNet skips normalise by the batch, and bring the running statistics here up to date; null: they use w's.
    const Gradient* running = nullptr;
  };

 private:
  template <int I>
  using Stage = typename Net::template Stage<I>;
  template <int I>
  using Encoder = typename Net::template Encoder<I>;
  template <int I>
  using Decoder = typename Net::template Decoder<I>;
  template <int I>
  static constexpr std::size_t skip_count = std::tuple_size_v<typename Stage<I>::template Skips<Real>>;
  static constexpr std::size_t at_least_one(std::size_t n) { return n == 0 ? 1 : n; }

  /// Of one resolution: what enters the encoder, what each block of the skip leaves, what enters the decoder.
  template <int I>
  struct StagePlaces {
    Real* input;
    typename Encoder<I>::Training encoder;
    std::array<Real*, at_least_one(skip_count<I>)> skip_results;
    std::array<typename Stage<I>::Skip::Saved, at_least_one(skip_count<I>)> skips;
    Real* joined;
    typename Decoder<I>::Training decoder;
    Real* dskip;  ///< gradient of joined, later of the encoder's result and input
  };
  template <int... I>
  static auto places_of(std::integer_sequence<int, I...>) -> std::tuple<StagePlaces<I>...>;

 public:
  /// Where everything lies in the workspace.
  struct Plan {
    Real *image, *out_image, *dimage, *dout_image;
    typename Net::Embedding::Saved embeddings;
    decltype(places_of(std::make_integer_sequence<int, stages>())) stage;
    typename Net::Recovery::Saved recovery;
    Real* dsum;       ///< of the widest stage
    Real* dprepared;  ///< gradient of Prepared
    blocks::GradientScratch<Real> scratch;
    std::size_t count;  ///< numbers of the whole
  };

  /// The plan for a batch; without memory only its `count` means something.
  static constexpr Plan plan(int batch, Activations activations, Real* workspace = nullptr) {
    Carver<Real> from(workspace);
    const auto n = static_cast<std::size_t>(batch);
    const auto images = [&](bool present, int channels, int points) {
      return from.take(present ? n * static_cast<std::size_t>(channels) * static_cast<std::size_t>(points) : 0);
    };
    Plan p{};
    p.image = images(Net::resampled, Net::fields, Net::image_pixels);
    p.out_image = images(Net::resampled, Net::out_fields, Net::image_pixels);
    p.dimage = images(Net::resampled, Net::fields, Net::image_pixels);
    p.dout_image = images(Net::resampled, Net::out_fields, Net::image_pixels);
    p.embeddings = Net::Embedding::Saved::take(from, batch);
    const bool again = activations == Activations::recompute;
    const bool skips_again = again && Net::skip_block == SkipBlock::convnext;  // a batch norm counts its passes
    std::size_t finest = 0, wide = 0, channels = 0, partial = 0;
    const auto need = [&]<class Block>(Block) {
      wide = std::max(wide, Block::wide_size(batch)), partial = std::max(partial, Block::partial_size(batch));
    };
    Real* const shared = from.take(again ? shared_size(batch) : 0);
    Net::for_each_stage([&]<int I>() {
      using S = Stage<I>;
      const std::size_t size = n * S::size;
      auto& at = std::get<I>(p.stage);
      // Blocks that run again leave what they keep in one place.
      Carver<Real> for_layer(shared), for_skip(shared);
      const auto layer = S::Layer::Saved::take(for_layer, batch);
      const auto skip = S::Skip::Saved::take(for_skip, batch);
      at.input = from.take(size);
      at.encoder.layers.saved = Encoder<I>::Layers::Saved::take(from, batch, again ? &layer : nullptr);
      at.decoder.layers.saved = Decoder<I>::Layers::Saved::take(from, batch, again ? &layer : nullptr);
      at.encoder.layers.again = at.decoder.layers.again = again;
      if constexpr (Encoder<I>::merges) at.encoder.downsample = Net::template Merging<I>::Saved::take(from, batch);
      if constexpr (Decoder<I>::unmerges) at.decoder.upsample = Net::template Unmerging<I>::Saved::take(from, batch);
      for (std::size_t j = 0; j < skip_count<I>; ++j) {
        at.skip_results[j] = from.take(size);
        at.skips[j] = skips_again ? skip : S::Skip::Saved::take(from, batch);
      }
      at.joined = skip_count<I> > 0    ? at.skip_results[skip_count<I> - 1]
                  : Encoder<I>::merges ? from.take(size)
                                       : at.encoder.layers.saved.result();
      at.dskip = from.take(size);
      finest = std::max(finest, size);
      channels = std::max<std::size_t>(channels, 2 * S::dim);
      need(typename S::Layer());
      if constexpr (skip_count < I >> 0) need(typename S::Skip());
      if constexpr (Encoder<I>::merges) need(typename Net::template Merging<I>());
      if constexpr (Decoder<I>::unmerges) need(typename Net::template Unmerging<I>());
    });
    need(typename Net::Embedding());
    need(typename Net::Recovery());
    p.recovery = Net::Recovery::Saved::take(from, batch);
    p.dsum = from.take(finest);
    p.dprepared = from.take(Net::prepared_size);
    p.scratch.wide = from.take(wide);
    p.scratch.branch = from.take(finest);
    p.scratch.affine = from.take(4 * n * channels);
    p.scratch.partial = from.take(partial);
    p.count = from.taken();
    return p;
  }
  static constexpr std::size_t workspace_size(int batch, Activations activations) {
    return plan(batch, activations).count;
  }

  /// Overwrites y and the plan's memory.
  template <class Exec, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, typename Net::In in,
                      const Real* time, typename Net::Out out, Plan& p, const Randomness& random = {},
                      const Tracer& trace = {}) {
    const int samples = in.extent(0);
    const blocks::TokenScratch<Real> scratch{p.scratch.wide, p.scratch.branch, p.scratch.affine};
    hand_out(p, random);
    const Real* x = in.data_handle();
    if constexpr (Net::resampled) {
      ops::resample<Net::height, Net::image_height>(exec, samples * Net::fields, prepared.to_image.data_handle(), x,
                                                    p.image);
      x = p.image;
    }
    Real* tokens = std::get<0>(p.stage).input;
    Net::Embedding::forward(exec, w.embeddings, samples, time, x, tokens, scratch.affine, random.masked, p.embeddings,
                            trace / "embeddings");
    if (random.embeddings)
      ops::dropout(exec, samples * Net::First::positions, Net::First::dim, random.embeddings, tokens);
    show(trace, "embeddings", samples, Net::First::positions, Net::First::dim, tokens);

    Net::for_each_stage([&]<int I>() {
      using S = Stage<I>;
      auto& at = std::get<I>(p.stage);
      Real* coarser = nullptr;
      if constexpr (I + 1 < stages) coarser = std::get<I + 1>(p.stage).input;
      Encoder<I>::forward(exec, Net::template encoder_stage<I>(w), std::get<I>(prepared.encoder), samples, time,
                          S::shift, Net::layer_norm_eps, at.input, nullptr, coarser, scratch, at.encoder,
                          trace / "encoder" / "layers" / I);
      const Real* h = at.encoder.layers.saved.result();
      if (skip_count<I> == 0 && at.joined != h) std::copy_n(h, static_cast<std::size_t>(samples) * S::size, at.joined);
      for (std::size_t j = 0; j < skip_count<I>; ++j) {
        const auto shown = trace / "residual_blocks" / I / static_cast<int>(j);
        run_skip<I>(exec, w, samples, time, h, p, j, scratch, random.running, shown);
        h = at.skip_results[j];
        show(shown, "", samples, S::positions, S::dim, h);
      }
    });
    Net::for_each_stage([&]<int J>() {
      constexpr int I = stages - 1 - J;
      auto& at = std::get<I>(p.stage);
      Real* finer = nullptr;
      if constexpr (I > 0) finer = std::get<I - 1>(p.stage).joined;
      Decoder<I>::forward(exec, Net::template decoder_stage<I>(w), std::get<I>(prepared.decoder), samples, time,
                          Stage<I>::shift, Net::layer_norm_eps, at.joined, nullptr, finer, scratch, at.decoder,
                          trace / "decoder" / "layers" / J);
    });

    Real* image = Net::resampled ? p.out_image : out.data_handle();
    Net::Recovery::forward(exec, w.patch_recovery, samples, std::get<0>(p.stage).decoder.layers.saved.result(), image,
                           p.recovery, trace / "patch_recovery");
    if constexpr (Net::learn_residual) Net::add_input(exec, samples, x, image);
    if constexpr (Net::resampled)
      ops::resample<Net::image_height, Net::height>(exec, samples * Net::out_fields, prepared.from_image.data_handle(),
                                                    static_cast<const Real*>(image), out.data_handle());
    exec.fence("ScOT");
  }

  /// Adds dL/dw to dw and, unless it is null, dL/dtime to dtime (batch); overwrites dx (batch, fields, height, width)
  /// unless that is null. dy: dL/dy. p: as the forward pass left it, which is used up; the rest: as it was there.
  template <class Exec, class Tracer = NoTrace>
  static void backward(const Exec& exec, const Weights& w, const Prepared& prepared, typename Net::In in,
                       const Real* time, const Real* dy, Plan& p, const Gradient& dw, Real* dx = nullptr,
                       Real* dtime = nullptr, const Randomness& random = {}, const Tracer& trace = {}) {
    const int samples = in.extent(0);
    auto scratch = p.scratch;
    scratch.dtime = dtime;
    std::fill_n(p.dprepared, Net::prepared_size, Real(0));
    const Prepared dprepared = bind<Prepared>(p.dprepared);
    const Real* x = Net::resampled ? p.image : in.data_handle();
    if constexpr (Net::resampled) {
      ops::resample_backward<Net::image_height, Net::height>(exec, samples * Net::out_fields,
                                                             prepared.to_image.data_handle(), dy, p.dout_image);
      dy = p.dout_image;
    }

    const Real* tokens = std::get<0>(p.stage).decoder.layers.saved.result();
    Net::Recovery::backward(exec, w.patch_recovery, samples, tokens, p.recovery, dy, std::get<0>(p.stage).dskip,
                            dw.patch_recovery, scratch, trace / "patch_recovery");
    Net::for_each_stage([&]<int I>() {
      auto& at = std::get<I>(p.stage);
      const Real* finer = nullptr;
      if constexpr (I > 0) finer = std::get<I - 1>(p.stage).dskip;
      Decoder<I>::backward(exec, Net::template decoder_stage<I>(w), std::get<I>(prepared.decoder), samples, time,
                           Stage<I>::shift, Net::layer_norm_eps, at.joined, at.decoder, finer, at.dskip,
                           Net::template decoder_stage<I>(dw), std::get<I>(dprepared.decoder), scratch,
                           trace / "decoder" / "layers" / (stages - 1 - I));
    });
    Net::for_each_stage([&]<int J>() {
      constexpr int I = stages - 1 - J;
      using S = Stage<I>;
      auto& at = std::get<I>(p.stage);
      for (std::size_t j = skip_count<I>; j-- > 0;) {
        const auto shown = trace / "residual_blocks" / I / static_cast<int>(j);
        const Real* h = j > 0 ? at.skip_results[j - 1] : at.encoder.layers.saved.result();
        show(shown, "", samples, S::positions, S::dim, at.dskip);
        skip_backward<I>(exec, w, samples, time, h, p, j, at.dskip, dw, scratch, random.running != nullptr, shown);
      }
      const Real* coarser = nullptr;
      if constexpr (I + 1 < stages) coarser = std::get<I + 1>(p.stage).dskip;
      Encoder<I>::backward(exec, Net::template encoder_stage<I>(w), std::get<I>(prepared.encoder), samples, time,
                           S::shift, Net::layer_norm_eps, at.input, at.encoder, coarser, at.dskip, p.dsum,
                           Net::template encoder_stage<I>(dw), std::get<I>(dprepared.encoder), scratch,
                           trace / "encoder" / "layers" / I);
    });

    Real* g = std::get<0>(p.stage).dskip;
    show(trace, "embeddings", samples, Net::First::positions, Net::First::dim, g);
    if (random.embeddings) ops::dropout(exec, samples * Net::First::positions, Net::First::dim, random.embeddings, g);
    Real* dimage = dx && Net::resampled ? p.dimage : dx;
    Net::Embedding::backward(exec, w.embeddings, samples, time, x, p.embeddings, g, dimage, dw.embeddings, scratch,
                             random.masked, trace / "embeddings");
    if (dx) {
      if constexpr (Net::learn_residual) add_output(exec, samples, dy, dimage);
      if constexpr (Net::resampled)
        ops::resample_backward<Net::height, Net::image_height>(
            exec, samples * Net::fields, prepared.from_image.data_handle(), static_cast<const Real*>(dimage), dx);
    }
    Net::for_each_stage([&]<int I>() {
      Encoder<I>::prepare_backward(exec, Net::template encoder_stage<I>(w), std::get<I>(prepared.encoder),
                                   std::get<I>(dprepared.encoder), Net::template encoder_stage<I>(dw),
                                   trace / "encoder" / "layers" / I);
      Decoder<I>::prepare_backward(exec, Net::template decoder_stage<I>(w), std::get<I>(prepared.decoder),
                                   std::get<I>(dprepared.decoder), Net::template decoder_stage<I>(dw),
                                   trace / "decoder" / "layers" / (stages - 1 - I));
    });
    exec.fence("ScOT backward");
  }

 private:
  /// Numbers that the most demanding block keeps.
  static constexpr std::size_t shared_size(int batch) {
    std::size_t most = 0;
    Net::for_each_stage([&]<int I>() {
      Carver<Real> layer, skip;
      Stage<I>::Layer::Saved::take(layer, batch);
      Stage<I>::Skip::Saved::take(skip, batch);
      most = std::max({most, layer.taken(), skip.taken()});
    });
    return most;
  }

  /// Gives every stage the factors of its layers.
  static void hand_out(Plan& p, const Randomness& random) {
    const blocks::SwinKeep<Real>* next = random.layers;
    const auto give = [&](auto& layers, int depth) {
      layers.keep = next;
      if (next) next += depth;
    };
    Net::for_each_stage([&]<int I>() { give(std::get<I>(p.stage).encoder.layers, Stage<I>::depth); });
    Net::for_each_stage(
        [&]<int J>() { give(std::get<stages - 1 - J>(p.stage).decoder.layers, Stage<stages - 1 - J>::depth); });
  }

  /// Block j of the skip at resolution I, from h to its result.
  template <int I, class Exec, class Tracer>
  static void run_skip(const Exec& exec, const Weights& w, int samples, const Real* time, const Real* h, const Plan& p,
                       std::size_t j, const blocks::TokenScratch<Real>& scratch, const Gradient* running,
                       const Tracer& trace) {
    const auto& at = std::get<I>(p.stage);
    const auto& block = std::get<I>(w.residual_blocks)[j];
    if constexpr (Net::skip_block == SkipBlock::resnet)
      Stage<I>::Skip::forward(exec, block, samples, h, at.skip_results[j], scratch,
                              running ? &std::get<I>(running->residual_blocks)[j] : nullptr, at.skips[j]);
    else
      Stage<I>::Skip::forward(exec, block, samples, time, Net::layer_norm_eps, h, at.skip_results[j], scratch,
                              at.skips[j], trace);
  }

  template <int I, class Exec, class Tracer>
  static void skip_backward(const Exec& exec, const Weights& w, int samples, const Real* time, const Real* h,
                            const Plan& p, std::size_t j, Real* g, const Gradient& dw,
                            const blocks::GradientScratch<Real>& scratch, bool batch_statistics, const Tracer& trace) {
    const auto& at = std::get<I>(p.stage);
    const auto& block = std::get<I>(w.residual_blocks)[j];
    const auto& dblock = std::get<I>(dw.residual_blocks)[j];
    if constexpr (Net::skip_block == SkipBlock::resnet) {
      Stage<I>::Skip::backward(exec, block, samples, h, at.skips[j], batch_statistics, g, dblock, scratch);
    } else {
      if (at.encoder.layers.again)
        Stage<I>::Skip::forward(exec, block, samples, time, Net::layer_norm_eps, h, at.skip_results[j],
                                blocks::TokenScratch<Real>{scratch.wide, scratch.branch, scratch.affine}, at.skips[j]);
      Stage<I>::Skip::backward(exec, block, samples, time, Net::layer_norm_eps, h, at.skips[j], g, dblock, scratch,
                               trace);
    }
  }

  /// dx += dy where the network computes the change.
  template <class Exec>
  static void add_output(const Exec& exec, int samples, const Real* dy, Real* dx) {
    for (int s = 0; s < samples; ++s)
      ops::add(exec, std::size_t{Net::out_fields} * Net::image_pixels,
               dy + std::ptrdiff_t{s} * Net::out_fields * Net::image_pixels,
               dx + std::ptrdiff_t{s} * Net::fields * Net::image_pixels);
  }

  template <class Tracer>
  static void show(const Tracer& trace, const char* name, int samples, int positions, int channels, const Real* data) {
    if constexpr (Tracer::active) trace(name, "bpc", {samples, positions, channels}, data);
  }
};

}  // namespace fieldstep::models
