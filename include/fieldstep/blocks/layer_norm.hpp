#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/core/params.hpp>
#include <fieldstep/ops/attention.hpp>   // normalise_heads
#include <fieldstep/ops/layer_norm.hpp>  // ChannelAffine

namespace fieldstep::blocks {

/// Layer normalisation over the last axis, in place.
///   y[r,c] = weight[c] (x[r,c] - mean[r]) / sqrt(var[r] + eps) + bias[c]        var is biased: divided by Dim
/// Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450, eq. 3, with eps as in torch.nn.LayerNorm (Flax: 1e-6).
template <class Real, int Dim>
struct LayerNorm {
  static_assert(Dim > 1, "LayerNorm<Real, Dim>: needs at least two channels");

  template <class R>
  struct Params {
    Tensor<R, Dim> weight{nullptr};  ///< PyTorch `weight`, Flax `scale`
    Tensor<R, Dim> bias{nullptr};
    using hana_accessors_impl =
        Fields<Field<"weight", &Params::weight, init_constant(1)>, Field<"bias", &Params::bias, init_constant(0)>>;
  };
  using Weights = Params<const Real>;

  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, Batched<Real, Dim> x, double eps = 1e-5) {
    ops::normalise_heads<1, Dim>(exec, x.extent(0), Dim, w.weight.data_handle(), w.bias.data_handle(), eps,
                                 x.data_handle());
  }

  /// The norm as ops::layer_norm takes it. Number of samples, time and memory are those of a conditional norm, in whose
  /// place it may stand.
  static ops::ChannelAffine<Real> affine(const Weights& w, int, const Real*, Real*) {
    return {w.weight.data_handle(), w.bias.data_handle()};
  }

  /// Gradient of affine(): adds to dw. dscale, dshift: (samples, Dim)
  static void affine_backward(const Weights&, int samples, const Real*, const Real* dscale, const Real* dshift,
                              const Params<Real>& dw, Real*) {
    for (int s = 0; s < samples; ++s, dscale += Dim, dshift += Dim)
      for (int c = 0; c < Dim; ++c) dw.weight(c) += dscale[c], dw.bias(c) += dshift[c];
  }
};

}  // namespace fieldstep::blocks
