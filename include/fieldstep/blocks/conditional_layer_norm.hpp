#pragma once
#include <fieldstep/core/params.hpp>
#include <fieldstep/ops/layer_norm.hpp>

namespace fieldstep::blocks {

/// Layer normalisation whose scale and shift are linear in the lead time of the sample:
///   y[r,c] = (a[c] t + b[c]) (x[r,c] - mean[r]) / sqrt(var[r] + eps) + (d[c] t + e[c])
/// a, b: weight.weight, weight.bias; d, e: bias.weight, bias.bias.
/// Source: Herde et al. 2024, arXiv:2405.19101, section 3; Poseidon's ConditionalLayerNorm (scOT/model.py).
template <class Real, int Dim>
struct ConditionalLayerNorm {
  static_assert(Dim > 1, "ConditionalLayerNorm<Real, Dim>: needs at least two channels");

  template <class R>
  struct Params {
    Tensor<R, Dim, 1> scale_slope{nullptr};
    Tensor<R, Dim> scale{nullptr};
    Tensor<R, Dim, 1> shift_slope{nullptr};
    Tensor<R, Dim> shift{nullptr};
    using hana_accessors_impl = Fields<Field<"weight.weight", &Params::scale_slope, init_normal(0.02, 1)>,
                                       Field<"weight.bias", &Params::scale, init_constant(0)>,
                                       Field<"bias.weight", &Params::shift_slope, init_normal(0.02, 1)>,
                                       Field<"bias.bias", &Params::shift, init_constant(0)>>;
  };
  using Weights = Params<const Real>;

  /// Scale and shift of every sample at its time, written to memory (2 samples Dim numbers).
  static ops::ChannelAffine<Real> affine(const Weights& w, int samples, const Real* time, Real* memory) {
    Real* shift = memory + static_cast<std::ptrdiff_t>(samples) * Dim;
    for (int s = 0; s < samples; ++s)
      for (int c = 0; c < Dim; ++c) {
        memory[s * Dim + c] = w.scale_slope(c, 0) * time[s] + w.scale(c);
        shift[s * Dim + c] = w.shift_slope(c, 0) * time[s] + w.shift(c);
      }
    return {memory, shift, Dim};
  }

  /// Gradient of affine(): adds to dw and, unless it is null, to dtime (samples).
  ///   dscale, dshift: (samples, Dim)
  static void affine_backward(const Weights& w, int samples, const Real* time, const Real* dscale, const Real* dshift,
                              const Params<Real>& dw, Real* dtime) {
    for (int s = 0; s < samples; ++s, dscale += Dim, dshift += Dim)
      for (int c = 0; c < Dim; ++c) {
        dw.scale_slope(c, 0) += time[s] * dscale[c];
        dw.scale(c) += dscale[c];
        dw.shift_slope(c, 0) += time[s] * dshift[c];
        dw.shift(c) += dshift[c];
        if (dtime) dtime[s] += dscale[c] * w.scale_slope(c, 0) + dshift[c] * w.shift_slope(c, 0);
      }
  }
};

}  // namespace fieldstep::blocks
