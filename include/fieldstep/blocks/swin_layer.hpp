#pragma once
#include <fieldstep/blocks/token_scratch.hpp>
#include <fieldstep/blocks/windowed_cosine_attention.hpp>
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

  /// Overwrites y, which may be x. time: one a sample; shift: of the windows, in tokens.
  template <class Exec, class Keep = NoKeep, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* time,
                      int shift, double eps, const Real* x, Real* y, const TokenScratch<Real>& scratch,
                      const Keep& keep = {}, const Tracer& trace = {}) {
    const int tokens = samples * positions;
    const SwinKeep<Real> factors = keep;
    const Real* branch = scratch.branch;
    const auto join = [&](const char* name, const auto& norm, const Real* residual, const Real* kept) {
      const auto affine = Norm::affine(norm, samples, time, scratch.affine);
      if constexpr (Tracer::active) {
        std::vector<Real> normed(static_cast<std::size_t>(tokens) * Dim);
        ops::layer_norm<Dim>(exec, samples, positions, branch, affine, eps, normed.data());
        trace(name, "bpc", {samples, positions, Dim}, normed.data());
      }
      ops::add_layer_norm<Dim>(exec, samples, positions, residual, branch, affine, eps, y, kept);
    };

    Real* attended = scratch.wide + static_cast<std::ptrdiff_t>(tokens) * 3 * Dim;
    Attention::forward(exec, w.attention, prepared, samples, shift, x, scratch.wide, attended, scratch.branch, keep,
                       trace / "attention");
    join("layernorm_before", w.norm_before, x, factors.attention_branch);
    if constexpr (Tracer::active) {
      ops::matmul(exec, tokens, ops::RowsLoader<Real>{y, Dim}, w.fc1, scratch.wide, Hidden,
                  ops::BiasEpilogue<Real>{w.fc1_bias.data_handle()});
      trace("intermediate.dense", "bpc", {samples, positions, Hidden}, scratch.wide);
    }
    ops::matmul(exec, tokens, ops::RowsLoader<Real>{y, Dim}, w.fc1, scratch.wide, Hidden,
                ops::BiasGeluEpilogue<Real>{w.fc1_bias.data_handle()});
    ops::matmul(exec, tokens, ops::RowsLoader<Real>{scratch.wide, Hidden}, w.fc2, scratch.branch, Dim,
                ops::BiasEpilogue<Real>{w.fc2_bias.data_handle()});
    if constexpr (Tracer::active) {
      trace("intermediate", "bpc", {samples, positions, Hidden}, scratch.wide);
      trace("output.dense", "bpc", {samples, positions, Dim}, branch);
    }
    if constexpr (!std::same_as<Keep, NoKeep>)
      if (factors.mlp) ops::dropout(exec, tokens, Dim, factors.mlp, scratch.branch);
    join("layernorm_after", w.norm_after, y, factors.mlp_branch);
    if constexpr (Tracer::active) trace("", "bpc", {samples, positions, Dim}, y);
  }
};

}  // namespace fieldstep::blocks
