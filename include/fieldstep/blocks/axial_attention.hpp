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

  /// What backward reads beside x: places that share scratch memory in inference.
  struct Saved {
    Real* scale1;    ///< (samples, Dim): norm1
    Real* qkv;       ///< (tokens, 3 Dim): before the norms of queries and keys
    Real* attended;  ///< (tokens, Dim)
    Real* scale2;    ///< (samples, Dim): norm2
    Real* branch;    ///< (tokens, Dim): before the layer scale
    Real* between;   ///< (tokens, Dim): x'
    typename Mlp::Saved mlp;
    Real* mixed;  ///< (tokens, Dim): mlp(x')

    static constexpr Saved take(Carver<Real>& from, int samples) {
      const std::size_t channels = static_cast<std::size_t>(samples) * Dim, size = channels * Positions;
      return {.scale1 = from.take(channels),
              .qkv = from.take(3 * size),
              .attended = from.take(size),
              .scale2 = from.take(channels),
              .branch = from.take(size),
              .between = from.take(size),
              .mlp = Mlp::Saved::take(from, samples * Positions),
              .mixed = from.take(size)};
    }
  };

  /// Overwrites y, which may be x in inference. bias_x: (Heads, Columns, Columns), bias_y: (Heads, Rows, Rows) from
  /// Bias::table; keep_att, keep_mlp: the branches' factor for every sample, null for 1. frames only names the trace's
  /// axes: samples = batch x frames.
  template <class Exec, class Save = NoSave, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const Real* bias_x, const Real* bias_y, int samples,
                      const Real* x, Real* y, const BlockScratch<Real>& scratch, double layer_norm_eps = 1e-5,
                      const Real* keep_att = nullptr, const Real* keep_mlp = nullptr, const Save& save = {},
                      const Tracer& trace = {}, int frames = 1) {
    const int tokens = samples * Positions, batch = samples / frames;
    constexpr bool trains = std::same_as<Save, Saved>;
    const Saved at = [&] {
      if constexpr (trains)
        return save;
      else
        return Saved{.scale1 = scratch.scale,
                     .qkv = scratch.qkv,
                     .attended = scratch.attended,
                     .scale2 = scratch.scale,
                     .branch = nullptr,
                     .between = y,
                     .mlp = {scratch.hidden, nullptr},
                     .mixed = scratch.mixed};
    }();
    const auto shown = [&](std::string_view name, const Real* values, const Real* scale) {
      if constexpr (Tracer::active)
        detail::show_normalised<Dim>(exec, trace, name, batch, frames, Rows, Columns, values, scale,
                                     static_cast<const Real*>(nullptr));
    };
    const auto show = [&](const char* name, int channels, const Real* values) {
      if constexpr (Tracer::active) trace(name, "btijc", {batch, frames, Rows, Columns, channels}, values);
    };

    Norm::scales(exec, w.norm1, samples, Positions, x, at.scale1);
    const Load normed{x, at.scale1, nullptr, Positions, {}};
    const Real* qkv_bias = w.input_head.bias.data_handle();
    if constexpr (trains)
      ops::matmul(exec, tokens, normed, w.input_head.weight, scratch.qkv, 3 * Dim,
                  ops::BiasCopyEpilogue<Real>{qkv_bias, at.qkv, 3 * Dim});
    else
      ops::matmul(exec, tokens, normed, w.input_head.weight, scratch.qkv, 3 * Dim, ops::BiasEpilogue<Real>{qkv_bias});
    shown("norm1", x, at.scale1);
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
                                                         detail::attention_scale<Real, head_dim>(), at.attended);

    Norm::scales(exec, w.norm2, samples, Positions, at.attended, at.scale2);
    shown("norm2", at.attended, at.scale2);
    const Load attended{at.attended, at.scale2, nullptr, Positions, {}};
    if constexpr (Tracer::active)
      ops::matmul(exec, tokens, attended, w.output_head.weight, scratch.mixed, Dim,
                  ops::BiasEpilogue<Real>{w.output_head.bias.data_handle()});
    show("output_head", Dim, scratch.mixed);
    const ops::ResidualEpilogue<Real, Dim> join{
        w.output_head.bias.data_handle(), w.gamma_att.data_handle(), x, keep_att, Positions, {}};
    if constexpr (trains)
      ops::matmul(exec, tokens, attended, w.output_head.weight, at.between, Dim,
                  ops::BranchEpilogue<Real, Dim>{join, at.branch});
    else
      ops::matmul(exec, tokens, attended, w.output_head.weight, at.between, Dim, join);

    if constexpr (Tracer::active)
      Mlp::Fc1::forward(exec, w.mlp.fc1, Batched<const Real, Dim>(at.between, tokens),
                        Batched<Real, 4 * Dim>(at.mlp.hidden, tokens));
    show("mlp.fc1", 4 * Dim, at.mlp.hidden);
    if constexpr (trains)
      Mlp::forward(exec, w.mlp, tokens, at.between, at.mlp, at.mixed);
    else
      Mlp::forward(exec, w.mlp, tokens, at.between, at.mlp.hidden, at.mixed);
    Norm::scales(exec, w.mlp_norm, samples, Positions, at.mixed, scratch.scale);
    show("mlp.act", 4 * Dim, at.mlp.hidden);
    show("mlp.fc2", Dim, at.mixed);
    shown("mlp_norm", at.mixed, scratch.scale);
    ops::add_scaled_branch<Dim>(exec, samples, Positions, at.mixed, scratch.scale, w.gamma_mlp.data_handle(), keep_mlp,
                                at.between, y);
    show("", Dim, y);
  }

  /// Numbers that backward needs at least of GradientScratch::partial.
  static constexpr std::size_t partial_size(int samples) {
    return std::max(ops::layer_scale_scratch_size<Dim>(samples * Positions),
                    ops::attention_backward_scratch_size<Heads, head_dim>(std::max(Rows, Columns)));
  }

  /// g: dL/dy on entry, dL/dx on return. Adds to dw and to dbias_x and dbias_y, the gradients of the biases. The rest:
  /// as in forward.
  template <class Exec>
  static void backward(const Exec& exec, const Weights& w, const Real* bias_x, const Real* bias_y, int samples,
                       const Real* x, const Saved& saved, Real* g, const Params<Real>& dw, Real* dbias_x, Real* dbias_y,
                       const GradientScratch<Real>& scratch, double layer_norm_eps = 1e-5,
                       const Real* keep_att = nullptr, const Real* keep_mlp = nullptr) {
    const int tokens = samples * Positions;
    Real *dqkv = scratch.wide, *dattended = scratch.wide + static_cast<std::ptrdiff_t>(tokens) * 3 * Dim;
    Real *branch = scratch.branch, *dz = scratch.branch;

    Norm::backward(exec, w.mlp_norm, samples, Positions, saved.mixed, g, nullptr, branch, dw.mlp_norm, scratch.affine,
                   {w.gamma_mlp.data_handle(), keep_mlp, dw.gamma_mlp.data_handle()});
    Mlp::backward(exec, w.mlp, tokens, saved.between, saved.mlp, branch, g, dw.mlp, scratch.wide);

    ops::layer_scale_backward<Dim>(exec, tokens, saved.branch, w.gamma_att.data_handle(), g, branch,
                                   dw.gamma_att.data_handle(), scratch.partial, keep_att, Positions);
    ops::add_weight_gradient(exec, tokens, Load{saved.attended, saved.scale2, nullptr, Positions, {}}, branch, Dim,
                             dw.output_head.weight, dw.output_head.bias.data_handle());
    ops::matmul_transposed(exec, tokens, ops::RowsLoader<Real>{branch, Dim}, w.output_head.weight, dattended, Dim,
                           ops::PlainEpilogue<Real>{});
    Norm::backward(exec, w.norm2, samples, Positions, saved.attended, dattended, nullptr, dattended, dw.norm2,
                   scratch.affine);
    const bool biased = Bias::active;
    ops::axial_attention_backward<Rows, Columns, Heads, head_dim>(
        exec, samples, saved.qkv, detail::head_norms(w), layer_norm_eps, biased ? bias_x : nullptr,
        biased ? bias_y : nullptr, detail::attention_scale<Real, head_dim>(), dattended, dqkv, detail::head_norms(dw),
        biased ? dbias_x : nullptr, biased ? dbias_y : nullptr, scratch.partial);

    ops::add_weight_gradient(exec, tokens, Load{x, saved.scale1, nullptr, Positions, {}}, dqkv, 3 * Dim,
                             dw.input_head.weight, dw.input_head.bias.data_handle());
    ops::matmul_transposed(exec, tokens, ops::RowsLoader<Real>{dqkv, 3 * Dim}, w.input_head.weight, dz, Dim,
                           ops::PlainEpilogue<Real>{});
    Norm::backward(exec, w.norm1, samples, Positions, x, dz, g, g, dw.norm1, scratch.affine);
  }

 private:
  using Load = ops::NormLoader<Real, Dim, Dim, false, false>;
};

}  // namespace fieldstep::blocks
