#pragma once
#include <fieldstep/blocks/norm_backward.hpp>
#include <fieldstep/blocks/token_scratch.hpp>
#include <fieldstep/blocks/windowed_cosine_attention.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/ops/layer_norm.hpp>

namespace fieldstep::blocks {

/// Attention in windows and an MLP, each normalised where it joins the residual (Swin V2's post-norm):
///   x' = x + keep norm_before(attention(x));  y = x' + keep norm_after(fc2(gelu(fc1(x'))))
/// Norm: ConditionalLayerNorm or LayerNorm. x: (samples, Rows, Columns, Dim)
/// Source: Poseidon's ScOTLayer (scOT/model.py), Herde et al. 2024, arXiv:2405.19101.
template <class Real, class Norm, int Dim, int Heads, int Rows, int Columns, int Window, int Hidden,
          int TrainedWindow = 0, bool QkvBias = true>
struct SwinLayer {
  static constexpr int dim = Dim, positions = Rows * Columns;
  using Attention = WindowedCosineAttention<Real, Dim, Heads, Rows, Columns, Window, TrainedWindow, QkvBias>;
  using Prepared = typename Attention::Prepared;

  template <class R>
  struct Params {
    typename Attention::template Params<R> attention;
    typename Norm::template Params<R> norm_before;
    Packed<R, LinearLayout<Dim, Hidden>> fc1;
    Tensor<R, Hidden> fc1_bias{nullptr};
    Packed<R, LinearLayout<Hidden, Dim>> fc2;
    Tensor<R, Dim> fc2_bias{nullptr};
    typename Norm::template Params<R> norm_after;
    using hana_accessors_impl =
        Fields<Field<"attention", &Params::attention>, Field<"layernorm_before", &Params::norm_before>,
               Field<"intermediate.dense.weight", &Params::fc1, init_normal(0.02, Dim)>,
               Field<"intermediate.dense.bias", &Params::fc1_bias, init_constant(0)>,
               Field<"output.dense.weight", &Params::fc2, init_normal(0.02, Hidden)>,
               Field<"output.dense.bias", &Params::fc2_bias, init_constant(0)>,
               Field<"layernorm_after", &Params::norm_after>>;
  };
  using Weights = Params<const Real>;

  /// What backward reads beside x: places that share scratch memory in inference.
  struct Saved {
    Real* qkv;        ///< (tokens, 3 Dim)
    Real* attended;   ///< (tokens, Dim)
    Real* attention;  ///< (tokens, Dim): before its norm
    Real* between;    ///< (tokens, Dim): x'
    Real* hidden;     ///< (tokens, Hidden): gelu(fc1(x'))
    Real* slope;      ///< (tokens, Hidden): gelu'(fc1(x'))
    Real* mlp;        ///< (tokens, Dim): before its norm

    static constexpr Saved take(Carver<Real>& from, int samples) {
      const std::size_t tokens = std::size_t{positions} * static_cast<std::size_t>(samples);
      const auto rows = [&](int width) { return from.take(tokens * static_cast<std::size_t>(width)); };
      return {rows(3 * Dim), rows(Dim), rows(Dim), rows(Dim), rows(Hidden), rows(Hidden), rows(Dim)};
    }
  };
  /// In place of NoKeep: a forward pass of training.
  struct Training {
    Saved saved;
    SwinKeep<Real> keep;
  };

  /// Overwrites y, which may be x in inference. time: one a sample; shift: of the windows, in tokens; mode: NoKeep or
  /// Training.
  template <class Exec, class Mode = NoKeep, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* time,
                      int shift, double eps, const Real* x, Real* y, const TokenScratch<Real>& scratch,
                      const Mode& mode = {}, const Tracer& trace = {}) {
    const int tokens = samples * positions;
    constexpr bool trains = std::same_as<Mode, Training>;
    const auto [at, keep] = [&] {
      if constexpr (trains)
        return mode;
      else
        return Training{{scratch.wide, scratch.wide + static_cast<std::ptrdiff_t>(tokens) * 3 * Dim, scratch.branch, y,
                         scratch.wide, nullptr, scratch.branch},
                        mode};
    }();
    const auto join = [&](const char* name, const auto& norm, const Real* residual, const Real* branch,
                          const Real* kept, Real* to) {
      const auto affine = Norm::affine(norm, samples, time, scratch.affine);
      if constexpr (Tracer::active) {
        std::vector<Real> normed(static_cast<std::size_t>(tokens) * Dim);
        ops::layer_norm<Dim>(exec, samples, positions, branch, affine, eps, normed.data());
        trace(name, "bpc", {samples, positions, Dim}, normed.data());
      }
      ops::add_layer_norm<Dim>(exec, samples, positions, residual, branch, affine, eps, to, kept);
    };

    if constexpr (trains)
      Attention::forward(exec, w.attention, prepared, samples, shift, x, at.qkv, at.attended, at.attention, keep,
                         trace / "attention");
    else
      Attention::forward(exec, w.attention, prepared, samples, shift, x, at.qkv, at.attended, at.attention, NoKeep(),
                         trace / "attention");
    join("layernorm_before", w.norm_before, x, at.attention, keep.attention_branch, at.between);
    const ops::RowsLoader<Real> between{at.between, Dim}, hidden{at.hidden, Hidden};
    if constexpr (Tracer::active) {
      ops::matmul(exec, tokens, between, w.fc1, at.hidden, Hidden, ops::BiasEpilogue<Real>{w.fc1_bias.data_handle()});
      trace("intermediate.dense", "bpc", {samples, positions, Hidden}, at.hidden);
    }
    if constexpr (trains)
      ops::matmul(exec, tokens, between, w.fc1, at.hidden, Hidden,
                  ops::BiasGeluSlopeEpilogue<Real>{w.fc1_bias.data_handle(), at.slope, Hidden});
    else
      ops::matmul(exec, tokens, between, w.fc1, at.hidden, Hidden,
                  ops::BiasGeluEpilogue<Real>{w.fc1_bias.data_handle()});
    ops::matmul(exec, tokens, hidden, w.fc2, at.mlp, Dim, ops::BiasEpilogue<Real>{w.fc2_bias.data_handle()});
    if constexpr (Tracer::active) {
      trace("intermediate", "bpc", {samples, positions, Hidden}, at.hidden);
      trace("output.dense", "bpc", {samples, positions, Dim}, at.mlp);
    }
    if constexpr (trains)
      if (keep.mlp) ops::dropout(exec, tokens, Dim, keep.mlp, at.mlp);
    join("layernorm_after", w.norm_after, at.between, at.mlp, keep.mlp_branch, y);
    if constexpr (Tracer::active) trace("", "bpc", {samples, positions, Dim}, y);
  }

  /// Numbers that backward needs at least of GradientScratch.
  static constexpr std::size_t wide_size(int samples) {
    return static_cast<std::size_t>(samples) * positions * std::max(4 * Dim, Hidden);
  }
  static constexpr std::size_t partial_size(int samples) {
    return std::max(ops::layer_norm_backward_scratch_size<Dim>(samples, positions),
                    ops::window_attention_backward_scratch_size<Rows, Columns, Window, Heads, Dim / Heads>(samples));
  }

  /// g: dL/dy on entry, dL/dx on return. Adds to dw and to dprepared, the gradient of Prepared.
  template <class Exec, class Tracer = NoTrace>
  static void backward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* time,
                       int shift, double eps, const Real* x, const Training& mode, Real* g, const Params<Real>& dw,
                       const Prepared& dprepared, const GradientScratch<Real>& scratch, const Tracer& trace = {}) {
    const int tokens = samples * positions;
    const auto& [at, keep] = mode;
    Real *branch = scratch.branch, *dhidden = scratch.wide;
    const auto show = [&](const char* name, int channels, const Real* data) {
      if constexpr (Tracer::active) trace(name, "bpc", {samples, positions, channels}, data);
    };
    const auto show_joined = [&](const char* name, const Real* kept) {  // the gradient of a norm's result
      if constexpr (Tracer::active) {
        std::vector<Real> dnormed(g, g + static_cast<std::size_t>(tokens) * Dim);
        for (std::size_t i = 0; kept && i < dnormed.size(); ++i) dnormed[i] *= kept[i / (std::size_t{positions} * Dim)];
        show(name, Dim, dnormed.data());
      }
    };

    show("", Dim, g);
    show_joined("layernorm_after", keep.mlp_branch);
    norm_backward<Norm, Dim>(exec, w.norm_after, samples, positions, time, eps, at.mlp, g, branch, dw.norm_after,
                             scratch, keep.mlp_branch);
    if (keep.mlp) ops::dropout(exec, tokens, Dim, keep.mlp, branch);
    show("output.dense", Dim, branch);
    ops::add_weight_gradient(exec, tokens, ops::RowsLoader<Real>{at.hidden, Hidden}, branch, Dim, dw.fc2,
                             dw.fc2_bias.data_handle());
    if constexpr (Tracer::active) {
      ops::matmul_transposed(exec, tokens, ops::RowsLoader<Real>{branch, Dim}, w.fc2, dhidden, Hidden,
                             ops::PlainEpilogue<Real>{});
      show("intermediate", Hidden, dhidden);
    }
    ops::matmul_transposed(exec, tokens, ops::RowsLoader<Real>{branch, Dim}, w.fc2, dhidden, Hidden,
                           ops::MultiplyEpilogue<Real>{at.slope, Hidden});
    show("intermediate.dense", Hidden, dhidden);
    ops::add_weight_gradient(exec, tokens, ops::RowsLoader<Real>{at.between, Dim}, dhidden, Hidden, dw.fc1,
                             dw.fc1_bias.data_handle());
    ops::matmul_transposed(exec, tokens, ops::RowsLoader<Real>{dhidden, Hidden}, w.fc1, g, Dim,
                           ops::AddEpilogue<Real>{g, Dim});

    show_joined("layernorm_before", keep.attention_branch);
    norm_backward<Norm, Dim>(exec, w.norm_before, samples, positions, time, eps, at.attention, g, branch,
                             dw.norm_before, scratch, keep.attention_branch);
    Attention::backward(exec, w.attention, prepared, samples, shift, x, at.qkv, at.attended, branch, g, dw.attention,
                        dprepared, scratch, keep, trace / "attention");
  }
};

}  // namespace fieldstep::blocks
