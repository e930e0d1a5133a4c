#pragma once
#include <fieldstep/blocks/windowed_cosine_attention.hpp>
#include <fieldstep/ops/layer_norm.hpp>

namespace fieldstep::blocks {

/// Memory of the blocks that work on a grid of tokens.
template <class Real>
struct TokenScratch {
  Real* wide;    ///< samples x tokens x the wider of 4 Dim (queries, keys, values; attended) and the hidden layer
  Real* branch;  ///< samples x tokens x Dim
  Real* affine;  ///< 2 samples x Dim: scale and shift of a norm
};

/// Attention in windows and an MLP, each normalised where it joins the residual (Swin V2's post-norm):
///   x' = x + keep norm_before(attention(x));  y = x' + keep norm_after(fc2(gelu(fc1(x'))))
/// Norm: ConditionalLayerNorm or LayerNorm. x: (samples, Rows, Columns, Dim)
/// Source: Poseidon's ScOTLayer (scOT/model.py), Herde et al. 2024, arXiv:2405.19101.
template <class Real, class Norm, int Dim, int Heads, int Rows, int Columns, int Window, int Hidden,
          int TrainedWindow = 0>
struct SwinLayer {
  static constexpr int positions = Rows * Columns;
  using Attention = WindowedCosineAttention<Real, Dim, Heads, Rows, Columns, Window, TrainedWindow>;
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

  /// Factors of stochastic depth, one a sample; null for 1.
  struct Keep {
    const Real* attention = nullptr;
    const Real* mlp = nullptr;
  };

  /// Overwrites y, which may be x. time: one a sample; shift: of the windows, in tokens.
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* time,
                      int shift, double eps, const Real* x, Real* y, const TokenScratch<Real>& scratch,
                      const Keep& keep = {}) {
    const int tokens = samples * positions;
    Real* attended = scratch.wide + static_cast<std::ptrdiff_t>(tokens) * 3 * Dim;
    const Real* branch = scratch.branch;
    Attention::forward(exec, w.attention, prepared, samples, shift, x, scratch.wide, attended, scratch.branch);
    ops::add_layer_norm<Dim>(exec, samples, positions, x, branch,
                             Norm::affine(w.norm_before, samples, time, scratch.affine), eps, y, keep.attention);
    ops::matmul(exec, tokens, ops::RowsLoader<Real>{y, Dim}, w.fc1, scratch.wide, Hidden,
                ops::BiasGeluEpilogue<Real>{w.fc1_bias.data_handle()});
    ops::matmul(exec, tokens, ops::RowsLoader<Real>{scratch.wide, Hidden}, w.fc2, scratch.branch, Dim,
                ops::BiasEpilogue<Real>{w.fc2_bias.data_handle()});
    ops::add_layer_norm<Dim>(exec, samples, positions, static_cast<const Real*>(y), branch,
                             Norm::affine(w.norm_after, samples, time, scratch.affine), eps, y, keep.mlp);
  }
};

}  // namespace fieldstep::blocks
