#pragma once
#include <fieldstep/blocks/detail/trace.hpp>
#include <fieldstep/blocks/log_position_bias.hpp>
#include <fieldstep/blocks/norm_backward.hpp>  // GradientScratch
#include <fieldstep/core/params.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/dropout.hpp>
#include <fieldstep/ops/epilogues.hpp>
#include <fieldstep/ops/matmul_backward.hpp>
#include <fieldstep/ops/window_attention_backward.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace fieldstep::blocks {

/// Factors of dropout and stochastic depth of one block in training, null for 1.
template <class Real>
struct SwinKeep {
  const Real* probabilities = nullptr;     ///< of attention: (samples * windows, Heads, length, length)
  const Real* attended = nullptr;          ///< after attention's output projection: (samples * windows, length, Dim)
  const Real* mlp = nullptr;               ///< after the MLP: (samples, Rows, Columns, Dim)
  const Real* attention_branch = nullptr;  ///< stochastic depth: (samples)
  const Real* mlp_branch = nullptr;
};

/// In place of SwinKeep, or of a list of them: inference, for which the code of dropout is not even compiled.
struct NoKeep {
  constexpr NoKeep operator[](int) const { return {}; }
  template <class Real>
  constexpr operator SwinKeep<Real>() const {
    return {};
  }
};

/// Multi-head self-attention within windows, queries and keys normalised, one learned temperature a head:
///   A = (q/|q|) (k/|k|)^T min(e^logit_scale, 100) + bias;  y = softmax(A) v Wo + bo
/// Keys have no bias, and without QkvBias queries and values have none. x, y: (samples, Rows, Columns, Dim); the grid
/// is padded to whole windows. Source: Liu et al. 2022, arXiv:2111.09883, section 3.3; transformers' Swinv2Attention.
template <class Real, int Dim, int Heads, int Rows, int Columns, int Window, int TrainedWindow = 0, bool QkvBias = true>
struct WindowedCosineAttention {
  static_assert(Dim % Heads == 0, "WindowedCosineAttention: Dim must be a multiple of Heads");
  static constexpr int head_dim = Dim / Heads;
  using Bias = LogPositionBias<Real, Heads, Window, TrainedWindow>;

  template <class R>
  struct Params {
    using ProjectionBias = PresentIf<QkvBias, Tensor<R, Dim>>;
    Tensor<R, Heads, 1, 1> logit_scale{nullptr};
    typename Bias::template Params<R> bias;
    Packed<R, LinearLayout<Dim, Dim>> query;
    ProjectionBias query_bias{nullptr};
    Packed<R, LinearLayout<Dim, Dim>> key, value;
    ProjectionBias value_bias{nullptr};
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

  template <class Exec>
  static void prepare(const Exec& exec, const Weights& w, const Prepared& prepared) {
    Bias::table(exec, w.bias, prepared.bias.data_handle());
    for (int head = 0; head < Heads; ++head)
      prepared.scale(head) = std::exp(std::min(w.logit_scale(head, 0, 0), largest_logit_scale));
    Real* to = prepared.projection_bias.data_handle();
    std::fill_n(to, 3 * Dim, Real(0));
    if constexpr (QkvBias) {
      std::copy_n(w.query_bias.data_handle(), Dim, to);
      std::copy_n(w.value_bias.data_handle(), Dim, to + 2 * Dim);
    }
  }

  /// Gradient of prepare(): adds to dw, overwrites dprepared.bias. Once a pass, when dprepared has its sums.
  template <class Exec, class Tracer = NoTrace>
  static void prepare_backward(const Exec& exec, const Weights& w, const Prepared& prepared, const Prepared& dprepared,
                               const Params<Real>& dw, const Tracer& trace = {}) {
    Bias::backward(exec, w.bias, prepared.bias.data_handle(), dprepared.bias.data_handle(), dw.bias,
                   trace / "self" / "continuous_position_bias_mlp");
    for (int head = 0; head < Heads; ++head)
      if (w.logit_scale(head, 0, 0) <= largest_logit_scale)
        dw.logit_scale(head, 0, 0) += prepared.scale(head) * dprepared.scale(head);
    if constexpr (QkvBias) {
      const Real* dpad = dprepared.projection_bias.data_handle();
      for (int c = 0; c < Dim; ++c) dw.query_bias(c) += dpad[c], dw.value_bias(c) += dpad[2 * Dim + c];
    }
  }

  /// Overwrites y, qkv (samples, Rows, Columns, 3 Dim) and attended (samples, Rows, Columns, Dim). shift: of the
  /// windows, in tokens.
  template <class Exec, class Keep = NoKeep, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, int shift,
                      const Real* x, Real* qkv, Real* attended, Real* y, const Keep& keep = {},
                      const Tracer& trace = {}) {
    const int tokens = samples * Rows * Columns;
    const Real *pad = prepared.projection_bias.data_handle(), *in = qkv;
    const Real *scale = prepared.scale.data_handle(), *bias = prepared.bias.data_handle();
    constexpr bool trains = !std::same_as<Keep, NoKeep>;
    ops::matmul(exec, tokens, ops::RowsLoader<Real>{x, Dim}, std::array{w.query, w.key, w.value}, qkv, 3 * Dim,
                ops::BiasEpilogue<Real>{pad});
    const SwinKeep<Real> factors = keep;
    const auto attend = [&] {
      ops::window_attention<Rows, Columns, Window, Heads, head_dim>(exec, samples, shift, in, pad, scale, bias,
                                                                    attended);
    };
    if constexpr (trains || Tracer::active) {
      std::vector<Real> probabilities(Tracer::active ? samples * probability_count : 0);
      const auto attend_naively = [&] {  // shows or drops probabilities
        ops::window_attention_naive<Rows, Columns, Window, Heads, head_dim>(
            exec, samples, shift, in, pad, scale, bias, attended, factors.probabilities,
            Tracer::active ? probabilities.data() : nullptr);
      };
      Tracer::active || factors.probabilities ? attend_naively() : attend();
      if constexpr (Tracer::active) {
        Bias::show(w.bias, trace / "self" / "continuous_position_bias_mlp");
        show_parts(trace / "self", samples, shift, in, pad);
        show_probabilities(trace / "self", samples, probabilities.data());
        show(trace / "self", "", samples, shift, attended, Dim);
      }
    } else {
      attend();
    }
    ops::matmul(exec, tokens, ops::RowsLoader<Real>{attended, Dim}, w.output, y, Dim,
                ops::BiasEpilogue<Real>{w.output_bias.data_handle()});
    if constexpr (trains)
      if (factors.attended)
        ops::dropout_in_windows<Rows, Columns, Window, Dim>(exec, samples, shift, factors.attended, y);
    if constexpr (Tracer::active) show(trace, "", samples, shift, y, Dim);
  }

  /// Adds dL/dx to dx, to dw and to dprepared; overwrites dy. x, qkv, attended: as forward left them; scratch.branch is
  /// left alone.
  template <class Exec, class Tracer = NoTrace>
  static void backward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, int shift,
                       const Real* x, const Real* qkv, const Real* attended, Real* dy, Real* dx, const Params<Real>& dw,
                       const Prepared& dprepared, const GradientScratch<Real>& scratch, const SwinKeep<Real>& keep = {},
                       const Tracer& trace = {}) {
    const int tokens = samples * Rows * Columns;
    Real *dqkv = scratch.wide, *dattended = scratch.wide + static_cast<std::ptrdiff_t>(tokens) * 3 * Dim;
    const Real *pad = prepared.projection_bias.data_handle(), *scale = prepared.scale.data_handle(),
               *bias = prepared.bias.data_handle();
    Real *dpad = dprepared.projection_bias.data_handle(), *dscale = dprepared.scale.data_handle(),
         *dbias = dprepared.bias.data_handle();
    if constexpr (Tracer::active) show(trace, "", samples, shift, dy, Dim);
    if (keep.attended) ops::dropout_in_windows<Rows, Columns, Window, Dim>(exec, samples, shift, keep.attended, dy);
    ops::add_weight_gradient(exec, tokens, ops::RowsLoader<Real>{attended, Dim}, dy, Dim, dw.output,
                             dw.output_bias.data_handle());
    ops::matmul_transposed(exec, tokens, ops::RowsLoader<Real>{dy, Dim}, w.output, dattended, Dim,
                           ops::PlainEpilogue<Real>{});
    if (keep.probabilities)
      ops::window_attention_backward_naive<Rows, Columns, Window, Heads, head_dim>(
          exec, samples, shift, qkv, pad, scale, bias, dattended, dqkv, dpad, dscale, dbias, scratch.partial,
          keep.probabilities);
    else
      ops::window_attention_backward<Rows, Columns, Window, Heads, head_dim>(
          exec, samples, shift, qkv, pad, scale, bias, dattended, dqkv, dpad, dscale, dbias, scratch.partial);
    if constexpr (Tracer::active) {
      show(trace / "self", "", samples, shift, dattended, Dim);
      show_parts(trace / "self", samples, shift, dqkv, nullptr);
      show_probability_gradient(trace / "self", samples, shift, qkv, pad, dattended);
    }
    std::array<Real*, 3> dbiases{};
    if constexpr (QkvBias) dbiases = {dw.query_bias.data_handle(), nullptr, dw.value_bias.data_handle()};
    ops::add_weight_gradient(exec, tokens, ops::RowsLoader<Real>{x, Dim}, dqkv, 3 * Dim,
                             std::array{dw.query, dw.key, dw.value}, dbiases);
    ops::matmul_transposed(exec, tokens, ops::RowsLoader<Real>{dqkv, 3 * Dim}, std::array{w.query, w.key, w.value}, dx,
                           Dim, ops::AddEpilogue<Real>{dx, Dim});
  }

 private:
  static constexpr Real largest_logit_scale = Real(4.605170185988092);  // ln 100
  using Windows = ops::WindowGrid<Rows, Columns, Window>;
  static constexpr std::size_t probability_count =
      std::size_t{Windows::windows} * Heads * Windows::length * Windows::length;

  template <class Tracer>
  static void show(const Tracer& trace, std::string_view name, int samples, int shift, const Real* tokens,
                   std::ptrdiff_t stride, const Real* pad = nullptr) {
    detail::show_windows<Rows, Columns, Window, Dim>(trace, name, samples, shift, tokens, stride, pad);
  }

  /// Queries, keys and values, or their gradients.
  template <class Tracer>
  static void show_parts(const Tracer& trace, int samples, int shift, const Real* qkv, const Real* pad) {
    for (int part = 0; part < 3; ++part)
      show(trace, std::array{"query", "key", "value"}[static_cast<std::size_t>(part)], samples, shift, qkv + part * Dim,
           3 * Dim, pad ? pad + part * Dim : nullptr);
  }

  template <class Tracer>
  static void show_probabilities(const Tracer& trace, int samples, const Real* probabilities) {
    trace("dropout", "wnpq", {samples * Windows::windows, Heads, Windows::length, Windows::length}, probabilities);
  }

  /// dP = dattended v^T, which the backward pass never stores.
  template <class Tracer>
  static void show_probability_gradient(const Tracer& trace, int samples, int shift, const Real* qkv, const Real* pad,
                                        const Real* dattended) {
    std::vector<Real> gradient;
    for (int item = 0; item < samples * Windows::windows; ++item)
      for (int head = 0; head < Heads; ++head)
        for (int query = 0; query < Windows::length; ++query)
          for (int key = 0; key < Windows::length; ++key) {
            const auto token = [&](int n) { return Windows::place(item % Windows::windows, n, shift).token(); };
            const std::ptrdiff_t first = item / Windows::windows * Rows * Columns;
            const Real* v = token(key) < 0 ? pad : qkv + (first + token(key)) * 3 * Dim;
            Real sum = 0;
            for (int c = head * head_dim; c < (head + 1) * head_dim; ++c)
              if (token(query) >= 0) sum += dattended[(first + token(query)) * Dim + c] * v[2 * Dim + c];
            gradient.push_back(sum);
          }
    show_probabilities(trace, samples, gradient.data());
  }
};

}  // namespace fieldstep::blocks
