#pragma once
#include <fieldstep/blocks/norm_backward.hpp>
#include <fieldstep/blocks/token_scratch.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/core/params.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/depthwise_conv.hpp>
#include <fieldstep/ops/epilogues.hpp>
#include <fieldstep/ops/layer_norm.hpp>
#include <fieldstep/ops/layer_scale.hpp>
#include <fieldstep/ops/matmul_backward.hpp>

#include <algorithm>
#include <concepts>

namespace fieldstep::blocks {

/// x + weight * pwconv2(gelu(pwconv1(norm(dwconv(x))))), dwconv 7x7 a channel, pwconv over channels.
///   x, y: (samples, Rows, Columns, Dim)
/// Source: Liu et al. 2022, arXiv:2201.03545; Poseidon's ConvNeXtBlock (scOT/model.py), on the skips of ScOT.
template <class Real, class Norm, int Dim, int Rows, int Columns>
struct ConvNeXtBlock {
  static constexpr int kernel = 7, Hidden = 4 * Dim, positions = Rows * Columns;

  template <class R>
  struct Params {
    Tensor<R, Dim> weight{nullptr};  ///< layer scale
    Tensor<R, Dim, 1, kernel, kernel> dwconv{nullptr};
    Tensor<R, Dim> dwconv_bias{nullptr};
    typename Norm::template Params<R> norm;
    Packed<R, LinearLayout<Dim, Hidden>> pwconv1;
    Tensor<R, Hidden> pwconv1_bias{nullptr};
    Packed<R, LinearLayout<Hidden, Dim>> pwconv2;
    Tensor<R, Dim> pwconv2_bias{nullptr};
    using hana_accessors_impl =
        Fields<Field<"weight", &Params::weight, init_constant(1e-6)>,
               Field<"dwconv.weight", &Params::dwconv, init_normal(0.02, kernel* kernel)>,
               Field<"dwconv.bias", &Params::dwconv_bias, init_constant(0)>, Field<"norm", &Params::norm>,
               Field<"pwconv1.weight", &Params::pwconv1, init_normal(0.02, Dim)>,
               Field<"pwconv1.bias", &Params::pwconv1_bias, init_constant(0)>,
               Field<"pwconv2.weight", &Params::pwconv2, init_normal(0.02, Hidden)>,
               Field<"pwconv2.bias", &Params::pwconv2_bias, init_constant(0)>>;
  };
  using Weights = Params<const Real>;

  /// What backward reads beside x: places that share scratch memory in inference.
  struct Saved {
    Real* convolved;  ///< (tokens, Dim): before the norm
    Real* normed;     ///< (tokens, Dim)
    Real* hidden;     ///< (tokens, Hidden): gelu(pwconv1)
    Real* slope;      ///< (tokens, Hidden): gelu'(pwconv1)
    Real* branch;     ///< (tokens, Dim): before the layer scale

    static constexpr Saved take(Carver<Real>& from, int samples) {
      const std::size_t tokens = std::size_t{positions} * static_cast<std::size_t>(samples);
      const auto rows = [&](int width) { return from.take(tokens * static_cast<std::size_t>(width)); };
      return {rows(Dim), rows(Dim), rows(Hidden), rows(Hidden), rows(Dim)};
    }
  };

  /// Overwrites y, which may be x in inference.
  template <class Exec, class Save = NoSave, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, int samples, const Real* time, double eps, const Real* x,
                      Real* y, const TokenScratch<Real>& scratch, const Save& save = {}, const Tracer& trace = {}) {
    const int tokens = samples * positions;
    constexpr bool trains = std::same_as<Save, Saved>;
    const Saved at = [&] {
      if constexpr (trains)
        return save;
      else
        return Saved{scratch.branch, scratch.branch, scratch.wide, nullptr, scratch.branch};
    }();
    const auto show = [&](const char* name, int channels, const Real* data) {
      if constexpr (Tracer::active) trace(name, "bijc", {samples, Rows, Columns, channels}, data);
    };
    ops::depthwise_conv<Rows, Columns, Dim, kernel>(exec, samples, x, w.dwconv.data_handle(),
                                                    w.dwconv_bias.data_handle(), at.convolved);
    show("dwconv", Dim, at.convolved);
    ops::layer_norm<Dim>(exec, samples, positions, static_cast<const Real*>(at.convolved),
                         Norm::affine(w.norm, samples, time, scratch.affine), eps, at.normed);
    show("norm", Dim, at.normed);
    const ops::RowsLoader<Real> normed{at.normed, Dim}, hidden{at.hidden, Hidden};
    const Real *bias1 = w.pwconv1_bias.data_handle(), *bias2 = w.pwconv2_bias.data_handle();
    if constexpr (Tracer::active) {
      ops::matmul(exec, tokens, normed, w.pwconv1, at.hidden, Hidden, ops::BiasEpilogue<Real>{bias1});
      show("pwconv1", Hidden, at.hidden);
    }
    if constexpr (trains)
      ops::matmul(exec, tokens, normed, w.pwconv1, at.hidden, Hidden,
                  ops::BiasGeluSlopeEpilogue<Real>{bias1, at.slope, Hidden});
    else
      ops::matmul(exec, tokens, normed, w.pwconv1, at.hidden, Hidden, ops::BiasGeluEpilogue<Real>{bias1});
    show("act", Hidden, at.hidden);
    if constexpr (Tracer::active) {
      ops::matmul(exec, tokens, hidden, w.pwconv2, at.branch, Dim, ops::BiasEpilogue<Real>{bias2});
      show("pwconv2", Dim, at.branch);
    }
    const ops::ResidualEpilogue<Real, Dim> join{bias2, w.weight.data_handle(), x, nullptr, positions, {}};
    if constexpr (trains)
      ops::matmul(exec, tokens, hidden, w.pwconv2, y, Dim, ops::BranchEpilogue<Real, Dim>{join, at.branch});
    else
      ops::matmul(exec, tokens, hidden, w.pwconv2, y, Dim, join);
  }

  /// Numbers that backward needs at least of GradientScratch::partial.
  static constexpr std::size_t wide_size(int samples) { return static_cast<std::size_t>(samples) * positions * Hidden; }
  static constexpr std::size_t partial_size(int samples) {
    return std::max({ops::layer_scale_scratch_size<Dim>(samples * positions),
                     ops::layer_norm_backward_scratch_size<Dim>(samples, positions),
                     ops::depthwise_conv_backward_scratch_size<Rows, Columns, Dim, kernel>(samples)});
  }

  /// g: dL/dy on entry, dL/dx on return. Adds to dw.
  template <class Exec, class Tracer = NoTrace>
  static void backward(const Exec& exec, const Weights& w, int samples, const Real* time, double eps, const Real* x,
                       const Saved& saved, Real* g, const Params<Real>& dw, const GradientScratch<Real>& scratch,
                       const Tracer& trace = {}) {
    const int tokens = samples * positions;
    Real *branch = scratch.branch, *dhidden = scratch.wide;
    const ops::RowsLoader<Real> rows_of_branch{branch, Dim}, rows_of_dhidden{dhidden, Hidden};
    const auto show = [&](const char* name, int channels, const Real* data) {
      if constexpr (Tracer::active) trace(name, "bijc", {samples, Rows, Columns, channels}, data);
    };
    ops::layer_scale_backward<Dim>(exec, tokens, static_cast<const Real*>(saved.branch), w.weight.data_handle(),
                                   static_cast<const Real*>(g), branch, dw.weight.data_handle(), scratch.partial);
    show("pwconv2", Dim, branch);
    ops::add_weight_gradient(exec, tokens, ops::RowsLoader<Real>{saved.hidden, Hidden}, branch, Dim, dw.pwconv2,
                             dw.pwconv2_bias.data_handle());
    if constexpr (Tracer::active) {
      ops::matmul_transposed(exec, tokens, rows_of_branch, w.pwconv2, dhidden, Hidden, ops::PlainEpilogue<Real>{});
      show("act", Hidden, dhidden);
    }
    ops::matmul_transposed(exec, tokens, rows_of_branch, w.pwconv2, dhidden, Hidden,
                           ops::MultiplyEpilogue<Real>{saved.slope, Hidden});
    show("pwconv1", Hidden, dhidden);
    ops::add_weight_gradient(exec, tokens, ops::RowsLoader<Real>{saved.normed, Dim}, dhidden, Hidden, dw.pwconv1,
                             dw.pwconv1_bias.data_handle());
    ops::matmul_transposed(exec, tokens, rows_of_dhidden, w.pwconv1, branch, Dim, ops::PlainEpilogue<Real>{});
    show("norm", Dim, branch);
    norm_backward<Norm, Dim>(exec, w.norm, samples, positions, time, eps, saved.convolved, branch, branch, dw.norm,
                             scratch);
    show("dwconv", Dim, branch);
    ops::depthwise_conv_backward<Rows, Columns, Dim, kernel>(
        exec, samples, x, w.dwconv.data_handle(), static_cast<const Real*>(branch), g, g, dw.dwconv.data_handle(),
        dw.dwconv_bias.data_handle(), scratch.partial);
  }
};

}  // namespace fieldstep::blocks
