#pragma once
#include <fieldstep/blocks/detail/trace.hpp>
#include <fieldstep/blocks/instance_norm.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/linear.hpp>
#include <fieldstep/blocks/norm_backward.hpp>
#include <fieldstep/blocks/relative_position_bias.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/add.hpp>
#include <fieldstep/ops/attention.hpp>
#include <fieldstep/ops/attention_backward.hpp>
#include <fieldstep/ops/layer_scale.hpp>
#include <fieldstep/ops/matmul_backward.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>

namespace fieldstep::blocks {

/// Memory a transformer block works in, beside its input and output; numbers for `tokens` tokens of `samples` samples.
/// In training only qkv and scale are used, and mixed for a trace.
template <class Real>
struct BlockScratch {
  Real* qkv;       ///< tokens x 3 Dim
  Real* attended;  ///< tokens x Dim
  Real* hidden;    ///< tokens x 4 Dim
  Real* mixed;     ///< tokens x Dim
  Real* scale;     ///< samples x Dim
  Real* shift;     ///< samples x Dim
};

namespace detail {

/// 1 / sqrt(d) of scaled dot-product attention.
template <class Real, int HeadDim>
Real attention_scale() {
  return Real(1 / std::sqrt(double(HeadDim)));
}

/// The norms of a block's queries and keys.
template <template <class> class Params, class R>
ops::HeadNorms<R> head_norms(const Params<R>& params) {
  return {params.qnorm.weight.data_handle(), params.qnorm.bias.data_handle(), params.knorm.weight.data_handle(),
          params.knorm.bias.data_handle()};
}

}  // namespace detail

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

  /// What backward reads beside x: places that share scratch memory in inference. rows: of y
  struct Saved {
    Real *scale1, *shift1;  ///< (batch, Frames, Dim): norm1
    Real* qkv;              ///< (tokens, 3 Dim): before the norms of queries and keys
    Real* attended;         ///< (rows, Dim)
    Real *scale2, *shift2;  ///< (batch, Frames or 1, Dim): norm2
    Real* branch;           ///< (rows, Dim): before the layer scale

    static constexpr Saved take(Carver<Real>& from, int batch, bool last_frame_only = false) {
      const std::size_t samples = static_cast<std::size_t>(batch) * Frames,
                        out = last_frame_only ? samples / Frames : samples;
      return {.scale1 = from.take(samples * Dim),
              .shift1 = from.take(samples * Dim),
              .qkv = from.take(samples * Positions * 3 * Dim),
              .attended = from.take(out * Positions * Dim),
              .scale2 = from.take(out * Dim),
              .shift2 = from.take(out * Dim),
              .branch = from.take(out * Positions * Dim)};
    }
  };

  /// Overwrites y, which may be x in inference unless last_frame_only. bias: (Heads, Frames, Frames) from Bias::table;
  /// keep: the branch's factor for every (batch, frame) of y, null for 1.
  template <class Exec, class Save = NoSave, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const Real* bias, int batch, const Real* x, Real* y,
                      const BlockScratch<Real>& scratch, double layer_norm_eps = 1e-5, bool last_frame_only = false,
                      const Real* keep = nullptr, const Save& save = {}, const Tracer& trace = {}) {
    const int samples = batch * Frames, tokens = samples * Positions;
    const int queries = last_frame_only ? 1 : Frames, rows = batch * queries * Positions;
    const ops::SampleRange asked = last_frame_only ? ops::SampleRange{Frames - 1, Frames} : ops::SampleRange{};
    constexpr bool trains = std::same_as<Save, Saved>;
    const Saved at = [&] {
      if constexpr (trains)
        return save;
      else
        return Saved{scratch.scale, scratch.shift, scratch.qkv, scratch.attended,
                     scratch.scale, scratch.shift, nullptr};
    }();

    Norm::affine(exec, w.norm1, samples, Positions, x, at.scale1, at.shift1);
    const auto project = [&](int count, ops::SampleRange range, int first_column, int last_column) {
      const Real* qkv_bias = w.input_head.bias.data_handle();
      const auto run = [&](const auto& epilogue) {
        ops::matmul(exec, count, Load{x, at.scale1, at.shift1, Positions, range}, w.input_head.weight, scratch.qkv,
                    3 * Dim, epilogue, first_column, last_column);
      };
      if constexpr (trains)
        run(ops::BiasCopyEpilogue<Real>{qkv_bias, at.qkv, 3 * Dim});
      else
        run(ops::BiasEpilogue<Real>{qkv_bias});
    };
    // Keys and values first: their first panel may cover some columns of the queries.
    project(tokens, {}, last_frame_only ? Dim : 0, 3 * Dim);
    if (last_frame_only) project(rows, asked, 0, Dim);
    if constexpr (Tracer::active) {
      detail::show_normalised<Dim>(exec, trace, "norm1", batch, Frames, Rows, Columns, x, at.scale1, at.shift1);
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
                                                     detail::attention_scale<Real, head_dim>(), at.attended);

    Norm::affine(exec, w.norm2, batch * queries, Positions, at.attended, at.scale2, at.shift2);
    const Load attended{at.attended, at.scale2, at.shift2, Positions, {}};
    if constexpr (Tracer::active) {
      detail::show_normalised<Dim>(exec, trace, "norm2", batch, queries, Rows, Columns, at.attended, at.scale2,
                                   at.shift2);
      ops::matmul(exec, rows, attended, w.output_head.weight, scratch.mixed, Dim,
                  ops::BiasEpilogue<Real>{w.output_head.bias.data_handle()});
      trace("output_head", "btijc", {batch, queries, Rows, Columns, Dim}, scratch.mixed);
    }
    const ops::ResidualEpilogue<Real, Dim> join{
        w.output_head.bias.data_handle(), w.gamma.data_handle(), x, keep, Positions, asked};
    if constexpr (trains)
      ops::matmul(exec, rows, attended, w.output_head.weight, y, Dim, ops::BranchEpilogue<Real, Dim>{join, at.branch});
    else
      ops::matmul(exec, rows, attended, w.output_head.weight, y, Dim, join);
    if constexpr (Tracer::active) trace("", "btijc", {batch, queries, Rows, Columns, Dim}, y);
  }

  /// Numbers that backward needs at least of GradientScratch::partial.
  static constexpr std::size_t partial_size(int batch) {
    return std::max(ops::layer_scale_scratch_size<Dim>(batch * Frames * Positions),
                    ops::attention_backward_scratch_size<Heads, head_dim>(Frames));
  }

  /// Overwrites dx from dy, which it may be unless last_frame_only; adds to dw and to dbias, the gradient of bias. The
  /// rest: as in forward.
  template <class Exec>
  static void backward(const Exec& exec, const Weights& w, const Real* bias, int batch, const Real* x,
                       const Saved& saved, const Real* dy, Real* dx, const Params<Real>& dw, Real* dbias,
                       const GradientScratch<Real>& scratch, double layer_norm_eps = 1e-5, bool last_frame_only = false,
                       const Real* keep = nullptr) {
    const int samples = batch * Frames, tokens = samples * Positions;
    const int queries = last_frame_only ? 1 : Frames, rows = batch * queries * Positions;
    Real *dqkv = scratch.wide, *dattended = scratch.wide + static_cast<std::ptrdiff_t>(tokens) * 3 * Dim;
    Real *branch = scratch.branch, *dz = scratch.branch;

    ops::layer_scale_backward<Dim>(exec, rows, saved.branch, w.gamma.data_handle(), dy, branch, dw.gamma.data_handle(),
                                   scratch.partial, keep, Positions);
    ops::add_weight_gradient(exec, rows, Load{saved.attended, saved.scale2, saved.shift2, Positions, {}}, branch, Dim,
                             dw.output_head.weight, dw.output_head.bias.data_handle());
    ops::matmul_transposed(exec, rows, ops::RowsLoader<Real>{branch, Dim}, w.output_head.weight, dattended, Dim,
                           ops::PlainEpilogue<Real>{});
    Norm::backward(exec, w.norm2, batch * queries, Positions, saved.attended, dattended, nullptr, dattended, dw.norm2,
                   scratch.affine);
    ops::temporal_attention_backward<Frames, Heads, head_dim>(
        exec, batch, Positions, queries, saved.qkv, detail::head_norms(w), layer_norm_eps,
        Bias::active ? bias : nullptr, detail::attention_scale<Real, head_dim>(), dattended, dqkv,
        detail::head_norms(dw), Bias::active ? dbias : nullptr, scratch.partial);
    if (last_frame_only) spread_queries(batch, dqkv);

    ops::add_weight_gradient(exec, tokens, Load{x, saved.scale1, saved.shift1, Positions, {}}, dqkv, 3 * Dim,
                             dw.input_head.weight, dw.input_head.bias.data_handle());
    ops::matmul_transposed(exec, tokens, ops::RowsLoader<Real>{dqkv, 3 * Dim}, w.input_head.weight, dz, Dim,
                           ops::PlainEpilogue<Real>{});
    Norm::backward(exec, w.norm1, samples, Positions, x, dz, last_frame_only ? nullptr : dy, dx, dw.norm1,
                   scratch.affine);
    constexpr std::size_t frame = std::size_t{Positions} * Dim;
    for (int b = 0; last_frame_only && b < batch; ++b)
      ops::add(exec, frame, dy + frame * static_cast<std::size_t>(b),
               dx + frame * static_cast<std::size_t>(b * Frames + Frames - 1));
  }

 private:
  using Load = ops::NormLoader<Real, Dim, Dim, true, false>;

  /// Gradients of the last frames' queries from the first tokens, where attention leaves them, to the frames' own;
  /// those of the other frames are zero. A frame's place is never before the one it is read from.
  static void spread_queries(int batch, Real* dqkv) {
    for (int token = batch * Frames * Positions; token-- > 0;) {
      const int frame = token / Positions;
      const int from = frame % Frames == Frames - 1 ? frame / Frames * Positions + token % Positions : -1;
      Real* to = dqkv + std::ptrdiff_t{token} * 3 * Dim;
      if (from >= 0)
        std::copy_n(dqkv + std::ptrdiff_t{from} * 3 * Dim, Dim, to);
      else
        std::fill_n(to, Dim, Real(0));
    }
  }
};

}  // namespace fieldstep::blocks
