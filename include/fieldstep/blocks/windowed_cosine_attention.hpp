#pragma once
#include <fieldstep/blocks/log_position_bias.hpp>
#include <fieldstep/core/params.hpp>
#include <fieldstep/ops/matmul.hpp>
#include <fieldstep/ops/window_attention.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace fieldstep::blocks {

/// Multi-head self-attention within windows, queries and keys normalised, one learned temperature a head:
///   A = (q/|q|) (k/|k|)^T min(e^logit_scale, 100) + bias;  y = softmax(A) v Wo + bo
/// Keys have no bias. x, y: (samples, Rows, Columns, Dim); the grid is padded to whole windows.
/// Source: Liu et al. 2022, arXiv:2111.09883, section 3.3; transformers' Swinv2Attention.
template <class Real, int Dim, int Heads, int Rows, int Columns, int Window, int TrainedWindow = 0>
struct WindowedCosineAttention {
  static_assert(Dim % Heads == 0, "WindowedCosineAttention: Dim must be a multiple of Heads");
  static constexpr int head_dim = Dim / Heads;
  using Bias = LogPositionBias<Real, Heads, Window, TrainedWindow>;
  using Projection = Packed<const Real, LinearLayout<Dim, Dim>>;

  template <class R>
  struct Params {
    Tensor<R, Heads, 1, 1> logit_scale{nullptr};
    typename Bias::template Params<R> bias;
    Packed<R, LinearLayout<Dim, Dim>> query;
    Tensor<R, Dim> query_bias{nullptr};
    Packed<R, LinearLayout<Dim, Dim>> key, value;
    Tensor<R, Dim> value_bias{nullptr};
    Packed<R, LinearLayout<Dim, Dim>> output;
    Tensor<R, Dim> output_bias{nullptr};
    using hana_accessors_impl =
        Fields<Field<"self.logit_scale", &Params::logit_scale, init_constant(2.302585092994046)>,
               Field<"self.continuous_position_bias_mlp", &Params::bias>,
               Field<"self.query.weight", &Params::query, init_normal(0.02, Dim)>,
               Field<"self.query.bias", &Params::query_bias, init_constant(0)>,
               Field<"self.key.weight", &Params::key, init_normal(0.02, Dim)>,
               Field<"self.value.weight", &Params::value, init_normal(0.02, Dim)>,
               Field<"self.value.bias", &Params::value_bias, init_constant(0)>,
               Field<"output.dense.weight", &Params::output, init_normal(0.02, Dim)>,
               Field<"output.dense.bias", &Params::output_bias, init_constant(0)>>;
  };
  using Weights = Params<const Real>;

  /// What depends on the weights alone.
  struct Prepared {
    Tensor<Real, Heads, 2 * Window - 1, 2 * Window - 1> bias{nullptr};
    Tensor<Real, Heads> scale{nullptr};
    Tensor<Real, 3, Heads, head_dim> projection_bias{nullptr};  ///< also what a padded token holds
    using hana_accessors_impl = Fields<Field<"bias", &Prepared::bias>, Field<"scale", &Prepared::scale>,
                                       Field<"projection_bias", &Prepared::projection_bias>>;
  };

  static void prepare(const Weights& w, const Prepared& prepared) {
    Bias::table(w.bias, prepared.bias.data_handle());
    for (int head = 0; head < Heads; ++head)
      prepared.scale(head) = std::exp(std::min(w.logit_scale(head, 0, 0), Real(4.605170185988092)));  // ln 100
    Real* to = prepared.projection_bias.data_handle();
    for (int c = 0; c < Dim; ++c) {
      to[c] = w.query_bias(c);
      to[Dim + c] = 0;
      to[2 * Dim + c] = w.value_bias(c);
    }
  }

  /// Overwrites y, qkv (samples, Rows, Columns, 3 Dim) and attended (samples, Rows, Columns, Dim). shift: of the
  /// windows, in tokens.
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, int shift,
                      const Real* x, Real* qkv, Real* attended, Real* y) {
    const int tokens = samples * Rows * Columns;
    const Real* bias = prepared.projection_bias.data_handle();
    ops::matmul(exec, tokens, ops::RowsLoader<Real>{x, Dim}, std::array{w.query, w.key, w.value}, qkv, 3 * Dim,
                ops::BiasEpilogue<Real>{bias});
    ops::window_attention<Rows, Columns, Window, Heads, head_dim>(
        exec, samples, shift, static_cast<const Real*>(qkv), bias,
        static_cast<const Real*>(prepared.scale.data_handle()), static_cast<const Real*>(prepared.bias.data_handle()),
        attended);
    ops::matmul(exec, tokens, ops::RowsLoader<Real>{attended, Dim}, w.output, y, Dim,
                ops::BiasEpilogue<Real>{w.output_bias.data_handle()});
  }
};

}  // namespace fieldstep::blocks
