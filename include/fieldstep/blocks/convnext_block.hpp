#pragma once
#include <fieldstep/blocks/token_scratch.hpp>
#include <fieldstep/core/params.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/depthwise_conv.hpp>
#include <fieldstep/ops/epilogues.hpp>
#include <fieldstep/ops/layer_norm.hpp>
#include <fieldstep/ops/matmul.hpp>

namespace fieldstep::blocks {

/// x + weight * pwconv2(gelu(pwconv1(norm(dwconv(x))))), dwconv 7x7 a channel, pwconv over channels.
///   x, y: (samples, Rows, Columns, Dim), which may be the same
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

  /// Overwrites x.
  template <class Exec, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, int samples, const Real* time, double eps, Real* x,
                      const TokenScratch<Real>& scratch, const Tracer& trace = {}) {
    const int tokens = samples * positions;
    Real *branch = scratch.branch, *hidden = scratch.wide;
    const auto show = [&](const char* name, int channels, const Real* data) {
      if constexpr (Tracer::active) trace(name, "bijc", {samples, Rows, Columns, channels}, data);
    };
    ops::depthwise_conv<Rows, Columns, Dim, kernel>(exec, samples, static_cast<const Real*>(x), w.dwconv.data_handle(),
                                                    w.dwconv_bias.data_handle(), branch);
    show("dwconv", Dim, branch);
    ops::layer_norm<Dim>(exec, samples, positions, static_cast<const Real*>(branch),
                         Norm::affine(w.norm, samples, time, scratch.affine), eps, branch);
    show("norm", Dim, branch);
    if constexpr (Tracer::active) {
      ops::matmul(exec, tokens, ops::RowsLoader<Real>{branch, Dim}, w.pwconv1, hidden, Hidden,
                  ops::BiasEpilogue<Real>{w.pwconv1_bias.data_handle()});
      show("pwconv1", Hidden, hidden);
    }
    ops::matmul(exec, tokens, ops::RowsLoader<Real>{branch, Dim}, w.pwconv1, hidden, Hidden,
                ops::BiasGeluEpilogue<Real>{w.pwconv1_bias.data_handle()});
    show("act", Hidden, hidden);
    if constexpr (Tracer::active) {
      ops::matmul(exec, tokens, ops::RowsLoader<Real>{hidden, Hidden}, w.pwconv2, branch, Dim,
                  ops::BiasEpilogue<Real>{w.pwconv2_bias.data_handle()});
      show("pwconv2", Dim, branch);
    }
    ops::matmul(exec, tokens, ops::RowsLoader<Real>{hidden, Hidden}, w.pwconv2, x, Dim,
                ops::ResidualEpilogue<Real, Dim>{
                    w.pwconv2_bias.data_handle(), w.weight.data_handle(), x, nullptr, positions, {}});
  }
};

}  // namespace fieldstep::blocks
