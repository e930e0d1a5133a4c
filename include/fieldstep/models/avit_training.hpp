#pragma once
#include <fieldstep/core/activations.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/models/avit.hpp>
#include <fieldstep/ops/standardise_backward.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace fieldstep::models {

/// Whether the gradient of the input goes through the mean and the deviation that normalise it. The original takes them
/// for constants; a derivative of the whole step, as jax_mpp has it, does not.
enum class InputStatistics { constant, differentiated };

/// AViT in training: a forward pass that leaves what the backward pass reads, with stochastic depth; the gradients of
/// all parameters and of the input. The whole batch goes through at once, in one workspace.
///   EveryFrame: the last block and the output compute all frames, as in the original, for a trace. Otherwise they
///   compute the last one, which alone is seen: the gradients of the others are zero.
/// Source: as AViT's; MPP's models/avit.py in training mode.
template <class Net_, bool EveryFrame = false>
struct AvitTraining {
  using Net = Net_;
  using Real = typename Net::Out::value_type;
  using Weights = typename Net::Weights;
  using Gradient = typename Net::template Params<Real>;
  using Prepared = typename Net::Prepared;
  using Keep = typename Net::Block::Keep;

  /// What backward() is asked for where the step is one of a rollout: the derivative of all of it.
  static constexpr InputStatistics exact_derivative = InputStatistics::differentiated;

  struct Randomness {
    const Keep* blocks = nullptr;  ///< factors of stochastic depth, one Keep a block; null for 1
  };

 private:
  using Block = typename Net::Block;
  using Patches = typename Net::Patches;
  static constexpr int frames = Net::frames, fields = Net::fields, pixels = Net::pixels, q = Net::q, Dim = Net::Dim;
  static constexpr int positions = Net::positions, out_frames = EveryFrame ? frames : 1;
  static constexpr std::size_t depth = Net::depth, image_size = std::size_t{fields} * pixels;

 public:
  /// Where everything lies in the workspace.
  struct Plan {
    Real *planes, *mean, *deviation;
    typename Net::Stem::Saved stem;
    std::array<Real*, depth + 1> tokens;  ///< what enters every block, and the output
    std::array<typename Block::Saved, depth> blocks;
    typename Net::Output::Saved output;
    Real* patches;      ///< the output's
    Real* keep;         ///< the last block's factors
    Real *g, *dlast;    ///< gradient of tokens, one block's at a time; of the output's
    Real* dpatches;     ///< gradient of the output's patches, later of the stem's
    Real* dstatistics;  ///< (4, batch, fields)
    Real* dprepared;    ///< gradient of Prepared
    blocks::GradientScratch<Real> scratch;
    bool again;         ///< backward runs the blocks' forward before their own
    std::size_t count;  ///< numbers of the whole
  };

  /// The plan for a batch; without memory only its `count` means something.
  static constexpr Plan plan(int batch, Activations activations, Real* workspace = nullptr) {
    Carver<Real> from(workspace);
    const auto n = static_cast<std::size_t>(batch), samples = n * frames, out_samples = n * out_frames;
    const std::size_t frame = std::size_t{positions} * Dim;
    Plan p{};
    p.planes = from.take(2 * samples * fields);
    p.mean = from.take(n * fields);
    p.deviation = from.take(n * fields);
    p.stem = Net::Stem::Saved::take(from, batch * frames);
    p.again = activations == Activations::recompute;
    Carver<Real> all;
    Block::Saved::take(all, batch);
    Real* const shared = from.take(p.again ? all.taken() : 0);
    for (std::size_t b = 0; b < depth; ++b) {
      p.tokens[b] = from.take(samples * frame);
      if (p.again) {  // blocks that run again leave what they keep in one place (no ?:, g++ 12 -O3 miscounts with it)
        Carver<Real> again(shared);
        p.blocks[b] = Block::Saved::take(again, batch, last_frame_only(b));
      } else {
        p.blocks[b] = Block::Saved::take(from, batch, last_frame_only(b));
      }
    }
    p.tokens[depth] = from.take(out_samples * frame);
    p.output = Net::Output::Saved::take(from, batch * out_frames);
    p.patches = from.take(out_samples * image_size);
    p.keep = from.take(3 * n);
    p.g = from.take(samples * frame);
    p.dlast = EveryFrame ? p.g : from.take(out_samples * frame);
    p.dpatches = from.take(samples * image_size);
    p.dstatistics = from.take(4 * n * fields);
    p.dprepared = from.take(Net::prepared_size);
    p.scratch.wide = from.take(4 * samples * frame);
    p.scratch.branch = from.take(samples * frame);
    p.scratch.affine = from.take(4 * samples * Dim);
    p.scratch.partial = from.take(Block::partial_size(batch));
    p.count = from.taken();
    return p;
  }
  static constexpr std::size_t workspace_size(int batch, Activations activations) {
    return plan(batch, activations).count;
  }

  /// Overwrites y and the plan's memory.
  template <class Exec, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, typename Net::In in,
                      typename Net::Out out, Plan& p, const Randomness& random = {}, const Tracer& trace = {}) {
    static_assert(EveryFrame || !Tracer::active, "AvitTraining: a trace shows every frame");
    const int batch = in.extent(0);
    const Real* x = in.data_handle();
    ops::field_statistics(exec, batch, frames, fields, pixels, Net::deviation_eps, x, p.planes, p.mean, p.deviation);
    if constexpr (Tracer::active) {
      trace("norm/mean", "bc", {batch, fields}, p.mean);
      trace("norm/std_plus_eps", "bc", {batch, fields}, p.deviation);
      show_states(exec, prepared, batch, x, p, trace);
    }
    Net::Stem::forward(exec, w.embed, prepared.folded, prepared.folded_bias.data_handle(), batch, input(x, p),
                       p.tokens[0], {nullptr, nullptr, p.scratch.affine}, p.stem, trace / "embed");
    for (std::size_t b = 0; b < depth; ++b) run_block(exec, w, prepared, batch, p, b, random, trace);
    Net::Output::forward(exec, w.debed, prepared.head, prepared.head_bias.data_handle(), batch, out_frames,
                         p.tokens[depth], p.patches, {}, p.output, trace / "debed");
    show_patches(exec, batch, p.patches, trace);
    for_each_output(batch, [&](std::size_t image, std::size_t patches, std::size_t field) {
      Patches::to_image(exec, 1, 1, p.patches + patches, p.deviation + field, p.mean + field,
                        out.data_handle() + image);
    });
    exec.fence("AViT");
  }

  /// Adds dL/dw to dw and overwrites dx (batch, frames, fields, height, width) unless that is null. dy: dL/dy. p: as
  /// the forward pass left it, which is used up; the rest: as it was there.
  template <class Exec, class Tracer = NoTrace>
  static void backward(const Exec& exec, const Weights& w, const Prepared& prepared, typename Net::In in,
                       const Real* dy, Plan& p, const Gradient& dw, Real* dx = nullptr, const Randomness& random = {},
                       InputStatistics statistics = InputStatistics::constant, const Tracer& trace = {}) {
    const int batch = in.extent(0);
    const Real* x = in.data_handle();
    std::fill_n(p.dprepared, Net::prepared_size, Real(0));
    const Prepared dprepared = bind<Prepared>(p.dprepared);

    if (EveryFrame) std::fill_n(p.dpatches, static_cast<std::size_t>(batch) * out_frames * image_size, Real(0));
    for_each_output(batch, [&](std::size_t image, std::size_t patches, std::size_t field) {
      Patches::to_patches(exec, 1, 1, dy + image, p.deviation + field, p.dpatches + patches);
    });
    show_patches(exec, batch, p.dpatches, trace);
    Net::Output::backward(exec, w.debed, prepared.head, batch * out_frames, p.tokens[depth], p.output, p.dpatches,
                          p.dlast, dw.debed, dprepared.head, dprepared.head_bias.data_handle(), p.scratch);
    for (std::size_t b = depth; b-- > 0;) {
      const bool last = b + 1 == depth;
      if (p.again && !last) run_block(exec, w, prepared, batch, p, b, random, NoTrace());  // the last one's are there
      Block::backward(exec, w.blocks[b], prepared.bias[b], batch, p.tokens[b], p.blocks[b], last ? p.dlast : p.g, p.g,
                      dw.blocks[b], dprepared.bias[b], p.scratch, Net::layer_norm_eps, last_frame_only(b),
                      keep_of(random, batch, p, b), trace / "blocks" / static_cast<int>(b));
    }
    if constexpr (Tracer::active) trace("embed", "btijc", {batch, frames, Net::rows, Net::columns, Dim}, p.g);
    Net::Stem::backward(exec, w.embed, prepared.folded, batch, input(x, p), p.stem, p.g, dx ? p.dpatches : nullptr,
                        dw.embed, dprepared.folded, dprepared.folded_bias.data_handle(), p.scratch);
    if constexpr (Tracer::active) show_state_gradient(exec, w, batch, p.scratch.wide, trace);
    if (dx) {
      Real* inverse = p.dstatistics;
      for (int i = 0; i < batch * fields; ++i) inverse[i] = 1 / p.deviation[i];
      Patches::to_image(exec, batch * frames, frames, p.dpatches, inverse, static_cast<const Real*>(nullptr), dx);
      if (statistics == InputStatistics::differentiated) differentiate_statistics(exec, batch, x, dy, p, dx);
    }
    Net::prepare_backward(exec, w, prepared, dprepared, dw);
    exec.fence("AViT backward");
  }

 private:
  static constexpr bool last_frame_only(std::size_t b) { return !EveryFrame && b + 1 == depth; }

  static typename Net::Stem::Input input(const Real* x, const Plan& p) { return {x, p.mean, p.deviation, frames}; }

  /// Calls use with the places of every sample's image in y, of its last frame in the output's patches, and of its
  /// fields.
  template <class Use>
  static void for_each_output(int batch, const Use& use) {
    for (std::size_t s = 0; s < static_cast<std::size_t>(batch); ++s)
      use(s * image_size, (s * out_frames + out_frames - 1) * image_size, s * fields);
  }

  template <class Exec, class Tracer>
  static void run_block(const Exec& exec, const Weights& w, const Prepared& prepared, int batch, const Plan& p,
                        std::size_t b, const Randomness& random, const Tracer& trace) {
    const blocks::BlockScratch<Real> scratch{p.scratch.wide,   nullptr,          nullptr,
                                             p.scratch.branch, p.scratch.affine, nullptr};
    Block::forward(exec, w.blocks[b], prepared.bias[b], batch, p.tokens[b], p.tokens[b + 1], scratch,
                   Net::layer_norm_eps, last_frame_only(b), keep_of(random, batch, p, b), p.blocks[b],
                   trace / "blocks" / static_cast<int>(b));
  }

  /// The factors of block b, of every frame that it computes.
  static Keep keep_of(const Randomness& random, int batch, const Plan& p, std::size_t b) {
    Keep keep = random.blocks ? random.blocks[b] : Keep{};
    if (!last_frame_only(b)) return keep;
    Real* to = p.keep;
    for (const Real** branch : {&keep.temporal, &keep.spatial_att, &keep.spatial_mlp}) {
      if (!*branch) continue;
      for (int s = 0; s < batch; ++s) to[s] = (*branch)[s * frames + frames - 1];
      *branch = to, to += batch;
    }
    return keep;
  }

  /// Adds to dx, the gradient at constant mean m and deviation d, what goes through them: the input was (x - m) / d,
  /// the result is d patches + m.
  template <class Exec>
  static void differentiate_statistics(const Exec& exec, int batch, const Real* x, const Real* dy, const Plan& p,
                                       Real* dx) {
    const int count = batch * fields;
    Real *dmean = p.dstatistics, *ddeviation = dmean + count, *sum = ddeviation + count, *product = sum + count;
    const Real* none = nullptr;
    Real* image = p.dpatches;
    for_each_output(batch, [&](std::size_t at, std::size_t patches, std::size_t) {
      Patches::to_image(exec, 1, 1, p.patches + patches, none, none, image + at);
    });
    ops::field_products(exec, batch, 1, fields, pixels, dy, image, none, p.planes, dmean, ddeviation);
    ops::field_products(exec, batch, frames, fields, pixels, dx, x, p.mean, p.planes, sum, product);
    for (int i = 0; i < count; ++i) dmean[i] -= sum[i], ddeviation[i] -= product[i] / p.deviation[i];
    ops::add_statistics_gradient(exec, batch, frames, fields, pixels, Net::deviation_eps, x, p.mean, p.deviation, dmean,
                                 ddeviation, dx);
  }

  // --- What the folded convolution hides and what lies in nested order, for a trace ---

  template <class Exec, class Tracer>
  static void show_patches(const Exec& exec, int batch, const Real* patches, const Tracer& trace) {
    if constexpr (Tracer::active) {
      const Real* none = nullptr;
      std::vector<Real> image(static_cast<std::size_t>(batch) * out_frames * image_size);
      Patches::to_image(exec, batch * out_frames, 1, patches, none, none, image.data());
      trace("debed", "btcij", {batch, out_frames, fields, Net::height, Net::width}, image.data());
    }
  }

  template <class Exec, class Tracer>
  static void show_states(const Exec& exec, const Prepared& prepared, int batch, const Real* x, const Plan& p,
                          const Tracer& trace) {
    const int samples = batch * frames;
    std::vector<Real> standard(static_cast<std::size_t>(samples) * image_size);
    std::vector<Real> states(static_cast<std::size_t>(samples) * pixels * q);
    ops::standardise(exec, batch, frames, fields, pixels, x, p.mean, p.deviation, standard.data());
    Net::SpaceBag::forward(exec, samples, pixels, fields, prepared.bag_columns.data_handle(),
                           prepared.bag_constant.data_handle(), standard.data(), states.data());
    trace("space_bag", "btijc", {batch, frames, Net::height, Net::width, q}, states.data());
  }

  /// From the gradient of the first convolution's result.
  template <class Exec, class Tracer>
  static void show_state_gradient(const Exec& exec, const Weights& w, int batch, const Real* dfine,
                                  const Tracer& trace) {
    using Nested = typename Patches::Nested;
    const int rows = batch * frames * Nested::count;
    std::vector<Real> patches(static_cast<std::size_t>(rows) * 16 * q), image(patches.size());
    ops::matmul_transposed(exec, rows, ops::RowsLoader<Real>{dfine, q}, w.embed.conv0, patches.data(), 16 * q,
                           ops::PlainEpilogue<Real>{});
    const Real* from = patches.data();  // (row, a, b, channel)
    for (int row = 0; row < rows; ++row)
      for (int ab = 0; ab < 16; ++ab, from += q) {
        const int position = row % Nested::count, i = 4 * Nested::row(position) + ab / 4;
        const std::ptrdiff_t line = std::ptrdiff_t{row / Nested::count} * Net::height + i;
        std::copy_n(from, q, image.data() + (line * Net::width + 4 * Nested::column(position) + ab % 4) * q);
      }
    trace("space_bag", "btijc", {batch, frames, Net::height, Net::width, q}, image.data());
  }
};

}  // namespace fieldstep::models
