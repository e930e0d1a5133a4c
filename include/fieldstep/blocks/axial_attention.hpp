#pragma once
#include <fieldstep/blocks/attention.hpp>  // BlockScratch
#include <fieldstep/blocks/mlp.hpp>
#include <fieldstep/blocks/rms_instance_norm.hpp>

namespace fieldstep::blocks {

/// Attention along rows and along columns, averaged, then an MLP; both branches residual (MPP's spatial block):
///   z = norm1(x);  q, k, v = input_head(z);  q = qnorm(q);  k = knorm(k)
///   a = (row attention + column attention) / 2
///   x' = x + keep_att * gamma_att * output_head(norm2(a))
///   y  = x' + keep_mlp * gamma_mlp * mlp_norm(mlp(x'))
/// x, y: (samples, Rows, Columns, Dim); a sample is one frame.
/// Source: MPP's AxialAttentionBlock (models/spatial_modules.py).
template <class Real, int Dim, int Heads, int Rows, int Columns, class Bias = RelativePositionBias<Real, Heads>>
struct AxialAttentionBlock {
  static_assert(Dim % Heads == 0, "AxialAttentionBlock: Dim must be a multiple of Heads");
  static_assert(Rows * Columns > 1, "AxialAttentionBlock: the instance norms need at least two positions");
  static constexpr int head_dim = Dim / Heads, Positions = Rows * Columns;
  using Norm = RMSInstanceNorm2d<Real, Dim>;
  using HeadNorm = LayerNorm<Real, head_dim>;
  using InputHead = QkvLinear<Real, Dim, Heads>;
  using OutputHead = PointwiseConv<Real, Dim, Dim>;
  using Mlp = MLP<Real, Dim>;

  template <class R>
  struct Params {
    Tensor<R, Dim> gamma_att{nullptr}, gamma_mlp{nullptr};
    typename Norm::template Params<R> norm1, norm2;
    typename InputHead::template Params<R> input_head;
    typename OutputHead::template Params<R> output_head;
    typename HeadNorm::template Params<R> qnorm, knorm;
    typename Bias::template Params<R> rel_pos_bias;
    typename Mlp::template Params<R> mlp;
    typename Norm::template Params<R> mlp_norm;
    using hana_accessors_impl =
        Fields<Field<"gamma_att", &Params::gamma_att, init_constant(1e-6)>,
               Field<"gamma_mlp", &Params::gamma_mlp, init_constant(1e-6)>, Field<"norm1", &Params::norm1>,
               Field<"norm2", &Params::norm2>, Field<"input_head", &Params::input_head>,
               Field<"output_head", &Params::output_head>, Field<"qnorm", &Params::qnorm>,
               Field<"knorm", &Params::knorm>, Field<"rel_pos_bias", &Params::rel_pos_bias>, Field<"mlp", &Params::mlp>,
               Field<"mlp_norm", &Params::mlp_norm>>;
  };
  using Weights = Params<const Real>;

  /// Overwrites x with y. bias_x: (Heads, Columns, Columns), bias_y: (Heads, Rows, Rows) from Bias::table; keep_att,
  /// keep_mlp: the branches' factor for every sample, null for 1. frames only names the trace's axes: samples = batch x
  /// frames.
  template <class Exec, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const Real* bias_x, const Real* bias_y, int samples, Real* x,
                      const BlockScratch<Real>& scratch, double layer_norm_eps = 1e-5, const Real* keep_att = nullptr,
                      const Real* keep_mlp = nullptr, const Tracer& trace = {}, int frames = 1) {
    const int tokens = samples * Positions, batch = samples / frames;
    using Load = ops::NormLoader<Real, Dim, Dim, false, false>;
    const auto shown = [&](std::string_view name, const Real* y) {
      if constexpr (Tracer::active)
        detail::show_normalised<Dim>(exec, trace, name, batch, frames, Rows, Columns, y, scratch.scale,
                                     static_cast<const Real*>(nullptr));
    };

    Norm::scales(exec, w.norm1, samples, Positions, x, scratch.scale);
    ops::matmul(exec, tokens, Load{x, scratch.scale, nullptr, Positions, {}}, w.input_head.weight, scratch.qkv, 3 * Dim,
                ops::BiasEpilogue<Real>{w.input_head.bias.data_handle()});
    shown("norm1", x);
    if constexpr (Tracer::active) {
      detail::show_qkv<Heads, head_dim>(trace, "input_head", batch, frames, Rows, Columns, scratch.qkv);
      if (Bias::active) trace("rel_pos_bias#x", "npq", {Heads, Columns, Columns}, bias_x);
      if (Bias::active) trace("rel_pos_bias#y", "npq", {Heads, Rows, Rows}, bias_y);
    }

    ops::normalise_heads<Heads, head_dim>(exec, tokens, 3 * Dim, w.qnorm.weight.data_handle(),
                                          w.qnorm.bias.data_handle(), layer_norm_eps, scratch.qkv);
    ops::normalise_heads<Heads, head_dim>(exec, tokens, 3 * Dim, w.knorm.weight.data_handle(),
                                          w.knorm.bias.data_handle(), layer_norm_eps, scratch.qkv + Dim);
    if constexpr (Tracer::active) {
      detail::show_part<Heads, head_dim>(trace, "qnorm", 0, batch, frames, Rows, Columns, scratch.qkv);
      detail::show_part<Heads, head_dim>(trace, "knorm", 1, batch, frames, Rows, Columns, scratch.qkv);
    }
    ops::axial_attention<Rows, Columns, Heads, head_dim>(exec, samples, scratch.qkv, Bias::active ? bias_x : nullptr,
                                                         Bias::active ? bias_y : nullptr,
                                                         Real(1 / std::sqrt(double(head_dim))), scratch.attended);

    Norm::scales(exec, w.norm2, samples, Positions, scratch.attended, scratch.scale);
    shown("norm2", scratch.attended);
    const Load attended{scratch.attended, scratch.scale, nullptr, Positions, {}};
    if constexpr (Tracer::active) {
      ops::matmul(exec, tokens, attended, w.output_head.weight, scratch.mixed, Dim,
                  ops::BiasEpilogue<Real>{w.output_head.bias.data_handle()});
      trace("output_head", "btijc", {batch, frames, Rows, Columns, Dim}, scratch.mixed);
    }
    ops::matmul(exec, tokens, attended, w.output_head.weight, x, Dim,
                ops::ResidualEpilogue<Real, Dim>{
                    w.output_head.bias.data_handle(), w.gamma_att.data_handle(), x, keep_att, Positions, {}});

    if constexpr (Tracer::active) {
      Mlp::Fc1::forward(exec, w.mlp.fc1, Batched<const Real, Dim>(x, tokens),
                        Batched<Real, 4 * Dim>(scratch.hidden, tokens));
      trace("mlp.fc1", "btijc", {batch, frames, Rows, Columns, 4 * Dim}, scratch.hidden);
    }
    Mlp::forward(exec, w.mlp, tokens, x, scratch.hidden, scratch.mixed);
    Norm::scales(exec, w.mlp_norm, samples, Positions, scratch.mixed, scratch.scale);
    if constexpr (Tracer::active) {
      trace("mlp.act", "btijc", {batch, frames, Rows, Columns, 4 * Dim}, scratch.hidden);
      trace("mlp.fc2", "btijc", {batch, frames, Rows, Columns, Dim}, scratch.mixed);
    }
    shown("mlp_norm", scratch.mixed);
    ops::add_scaled_branch<Dim>(exec, samples, Positions, scratch.mixed, scratch.scale, w.gamma_mlp.data_handle(),
                                keep_mlp, x);
    if constexpr (Tracer::active) trace("", "btijc", {batch, frames, Rows, Columns, Dim}, x);
  }
};

}  // namespace fieldstep::blocks
