#pragma once
#include <fieldstep/blocks/detail/trace.hpp>
#include <fieldstep/blocks/instance_norm.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/linear.hpp>
#include <fieldstep/blocks/relative_position_bias.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/attention.hpp>

#include <cmath>

namespace fieldstep::blocks {

/// Memory a transformer block works in, beside its input and output; numbers for `tokens` tokens of `samples` samples.
template <class Real>
struct BlockScratch {
  Real* qkv;       ///< tokens x 3 Dim
  Real* attended;  ///< tokens x Dim
  Real* hidden;    ///< tokens x 4 Dim
  Real* mixed;     ///< tokens x Dim
  Real* scale;     ///< samples x Dim
  Real* shift;     ///< samples x Dim
};

/// Attention along time at every position, with instance norms around it and a residual (MPP's temporal block):
///   z = norm1(x);  q, k, v = input_head(z);  q = qnorm(q);  k = knorm(k)
///   y = x + keep * gamma * output_head(norm2(softmax(q k^T / sqrt(d) + rel_pos_bias) v))
/// x: (batch, Frames, Rows, Columns, Dim). y has the same shape, or (batch, Rows, Columns, Dim) when only the last
/// frame is asked for: its output needs the others' keys and values only. Source: MPP's AttentionBlock
/// (models/time_modules.py).
template <class Real, int Dim, int Heads, int Frames, int Rows, int Columns,
          class Bias = RelativePositionBias<Real, Heads>>
struct AttentionBlock {
  static_assert(Dim % Heads == 0, "AttentionBlock: Dim must be a multiple of Heads");
  static_assert(Rows * Columns > 1, "AttentionBlock: the instance norms need at least two positions");
  static constexpr int head_dim = Dim / Heads, Positions = Rows * Columns;
  using Norm = InstanceNorm2d<Real, Dim>;
  using HeadNorm = LayerNorm<Real, head_dim>;
  using InputHead = QkvLinear<Real, Dim, Heads>;
  using OutputHead = PointwiseConv<Real, Dim, Dim>;

  template <class R>
  struct Params {
    Tensor<R, Dim> gamma{nullptr};
    typename Norm::template Params<R> norm1, norm2;
    typename InputHead::template Params<R> input_head;
    typename OutputHead::template Params<R> output_head;
    typename HeadNorm::template Params<R> qnorm, knorm;
    typename Bias::template Params<R> rel_pos_bias;
    using hana_accessors_impl =
        Fields<Field<"gamma", &Params::gamma, init_constant(1e-6)>, Field<"norm1", &Params::norm1>,
               Field<"norm2", &Params::norm2>, Field<"input_head", &Params::input_head>,
               Field<"output_head", &Params::output_head>, Field<"qnorm", &Params::qnorm>,
               Field<"knorm", &Params::knorm>, Field<"rel_pos_bias", &Params::rel_pos_bias>>;
  };
  using Weights = Params<const Real>;

  /// Overwrites y, which may be x unless last_frame_only. bias: (Heads, Frames, Frames) from Bias::table; keep: the
  /// branch's factor for every (batch, frame), null for 1.
  template <class Exec, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const Real* bias, int batch, const Real* x, Real* y,
                      const BlockScratch<Real>& scratch, double layer_norm_eps = 1e-5, bool last_frame_only = false,
                      const Real* keep = nullptr, const Tracer& trace = {}) {
    const int samples = batch * Frames, tokens = samples * Positions;
    const int queries = last_frame_only ? 1 : Frames, rows = batch * queries * Positions;
    const ops::SampleRange asked = last_frame_only ? ops::SampleRange{Frames - 1, Frames} : ops::SampleRange{};
    using Load = ops::NormLoader<Real, Dim, Dim, true, false>;

    Norm::affine(exec, w.norm1, samples, Positions, x, scratch.scale, scratch.shift);
    const ops::BiasEpilogue<Real> qkv_bias{w.input_head.bias.data_handle()};
    // Keys and values first: their first panel may cover some columns of the queries.
    ops::matmul(exec, tokens, Load{x, scratch.scale, scratch.shift, Positions, {}}, w.input_head.weight, scratch.qkv,
                3 * Dim, qkv_bias, last_frame_only ? Dim : 0);
    if (last_frame_only)
      ops::matmul(exec, rows, Load{x, scratch.scale, scratch.shift, Positions, asked}, w.input_head.weight, scratch.qkv,
                  3 * Dim, qkv_bias, 0, Dim);
    if constexpr (Tracer::active) {
      detail::show_normalised<Dim>(exec, trace, "norm1", batch, Frames, Rows, Columns, x, scratch.scale, scratch.shift);
      detail::show_qkv<Heads, head_dim>(trace, "input_head", batch, Frames, Rows, Columns, scratch.qkv);
      if (Bias::active) trace("rel_pos_bias", "npq", {Heads, Frames, Frames}, bias);
    }

    ops::normalise_heads<Heads, head_dim>(exec, rows, 3 * Dim, w.qnorm.weight.data_handle(), w.qnorm.bias.data_handle(),
                                          layer_norm_eps, scratch.qkv);
    ops::normalise_heads<Heads, head_dim>(exec, tokens, 3 * Dim, w.knorm.weight.data_handle(),
                                          w.knorm.bias.data_handle(), layer_norm_eps, scratch.qkv + Dim);
    if constexpr (Tracer::active) {
      detail::show_part<Heads, head_dim>(trace, "qnorm", 0, batch, Frames, Rows, Columns, scratch.qkv);
      detail::show_part<Heads, head_dim>(trace, "knorm", 1, batch, Frames, Rows, Columns, scratch.qkv);
    }
    ops::temporal_attention<Frames, Heads, head_dim>(exec, batch, Positions, queries, scratch.qkv,
                                                     Bias::active ? bias : nullptr,
                                                     Real(1 / std::sqrt(double(head_dim))), scratch.attended);

    Norm::affine(exec, w.norm2, batch * queries, Positions, scratch.attended, scratch.scale, scratch.shift);
    const Load attended{scratch.attended, scratch.scale, scratch.shift, Positions, {}};
    if constexpr (Tracer::active) {
      detail::show_normalised<Dim>(exec, trace, "norm2", batch, Frames, Rows, Columns, scratch.attended, scratch.scale,
                                   scratch.shift);
      ops::matmul(exec, rows, attended, w.output_head.weight, scratch.mixed, Dim,
                  ops::BiasEpilogue<Real>{w.output_head.bias.data_handle()});
      trace("output_head", "btijc", {batch, Frames, Rows, Columns, Dim}, scratch.mixed);
    }
    ops::matmul(exec, rows, attended, w.output_head.weight, y, Dim,
                ops::ResidualEpilogue<Real, Dim>{w.output_head.bias.data_handle(), w.gamma.data_handle(), x, keep,
                                                 Positions, asked});
    if constexpr (Tracer::active) trace("", "btijc", {batch, Frames, Rows, Columns, Dim}, y);
  }
};

}  // namespace fieldstep::blocks
