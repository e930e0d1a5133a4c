#pragma once
#include <fieldstep/core/params.hpp>
#include <fieldstep/ops/small_dense.hpp>

#include <algorithm>

namespace fieldstep::blocks {

/// dense3(dense2(ELU(norm1(dense1(x))))), of one sample: TiDHy's hypernetwork, nonlinear decoder and decoder of the
/// slow latent. Between the last two layers is no activation, so that a loop over many samples with the same weights
/// may use their product instead (Folded).
///   x: (In), out: (Out); kernels are (in, out) as Flax has them
/// Source: TiDHy's hypernet, spatial_decoder, R2_Decoder (TiDHy_torch.py) and their NNX modules.
template <class Real, int In, int Hidden, int Out, bool OutBias = true>
struct NormedMlp {
  template <class R, int From, int To, bool Bias = true>
  struct Dense {
    Tensor<R, From, To> kernel{nullptr};
    PresentIf<Bias, Tensor<R, To>> bias{nullptr};
    using hana_accessors_impl =
        Fields<Field<"kernel", &Dense::kernel, init_weight(From)>, Field<"bias", &Dense::bias, init_bias(From)>>;
  };
  template <class R>
  struct Norm {
    Tensor<R, Hidden> scale{nullptr};
    Tensor<R, Hidden> bias{nullptr};
    using hana_accessors_impl =
        Fields<Field<"scale", &Norm::scale, init_constant(1)>, Field<"bias", &Norm::bias, init_constant(0)>>;
  };
  template <class R>
  struct Params {
    Dense<R, In, Hidden> dense1;
    Norm<R> norm1;
    Dense<R, Hidden, Hidden> dense2;
    Dense<R, Hidden, Out, OutBias> dense3;
    using hana_accessors_impl = Fields<Field<"dense1", &Params::dense1>, Field<"norm1", &Params::norm1>,
                                       Field<"dense2", &Params::dense2>, Field<"dense3", &Params::dense3>>;
  };
  using Weights = Params<const Real>;

  /// The last two layers as one: kernel = dense2 dense3 transposed, (Out, Hidden).
  struct Folded {
    Real kernel[Out * Hidden];
    Real bias[Out];
  };
  static void fold(const Weights& w, Folded& to) {  // once for many iterations: in double
    const auto number = [](Real x) { return static_cast<double>(x); };
    for (int o = 0; o < Out; ++o) {
      for (int h = 0; h < Hidden; ++h) {
        double sum = 0;
        for (int k = 0; k < Hidden; ++k) sum += number(w.dense2.kernel(h, k)) * number(w.dense3.kernel(k, o));
        to.kernel[o * Hidden + h] = static_cast<Real>(sum);
      }
      double sum = 0;
      for (int k = 0; k < Hidden; ++k) sum += number(w.dense2.bias(k)) * number(w.dense3.kernel(k, o));
      if constexpr (OutBias) sum += number(w.dense3.bias(o));
      to.bias[o] = static_cast<Real>(sum);
    }
  }

  /// What a reverse pass reads beside x.
  struct Saved {
    Real xhat[Hidden], normed[Hidden], activated[Hidden], rstd;
  };

  /// Up to the activation. Overwrites saved.
  static void activate(const Weights& w, Real eps, const Real* x, Saved& saved) {
    Real hidden[Hidden];
    ops::row_times_matrix<In, Hidden>(x, w.dense1.kernel.data_handle(), w.dense1.bias.data_handle(), hidden);
    saved.rstd = ops::standardise_row<Hidden>(hidden, eps, saved.xhat);
    for (int h = 0; h < Hidden; ++h) saved.normed[h] = w.norm1.scale(h) * saved.xhat[h] + w.norm1.bias(h);
    ops::elu<Hidden>(saved.normed, saved.activated);
  }

  /// Through the folded layers. Overwrites out.
  static void finish(const Folded& folded, const Saved& saved, Real* out) {
    ops::matrix_times_column<Out, Hidden>(folded.kernel, saved.activated, out);
    for (int o = 0; o < Out; ++o) out[o] += folded.bias[o];
  }
  /// Through both layers. Overwrites between (Hidden) and out.
  static void finish(const Weights& w, const Saved& saved, Real* between, Real* out) {
    ops::row_times_matrix<Hidden, Hidden>(saved.activated, w.dense2.kernel.data_handle(), w.dense2.bias.data_handle(),
                                          between);
    const Real* bias = nullptr;
    if constexpr (OutBias) bias = w.dense3.bias.data_handle();
    ops::row_times_matrix<Hidden, Out>(between, w.dense3.kernel.data_handle(), bias, out);
  }

  /// dx from dout through the folded layers; overwrites dx.
  static void input_gradient(const Weights& w, const Folded& folded, const Saved& saved, const Real* dout, Real* dx) {
    Real g[Hidden];
    ops::row_times_matrix<Out, Hidden>(dout, folded.kernel, static_cast<const Real*>(nullptr), g);
    norm_gradient(w, saved, g);
    ops::matrix_times_column<In, Hidden>(w.dense1.kernel.data_handle(), g, dx);
  }

  /// Adds the gradients of all parameters from dout. between: as finish() left it
  static void add_gradient(const Weights& w, const Real* x, const Saved& saved, const Real* between, const Real* dout,
                           const Params<Real>& dw) {
    Real dbetween[Hidden], g[Hidden];
    ops::add_outer<Hidden, Out>(between, dout, dw.dense3.kernel.data_handle());
    if constexpr (OutBias) ops::axpy<Out>(Real(1), dout, dw.dense3.bias.data_handle());
    ops::matrix_times_column<Hidden, Out>(w.dense3.kernel.data_handle(), dout, dbetween);
    ops::add_outer<Hidden, Hidden>(saved.activated, dbetween, dw.dense2.kernel.data_handle());
    ops::axpy<Hidden>(Real(1), dbetween, dw.dense2.bias.data_handle());
    ops::matrix_times_column<Hidden, Hidden>(w.dense2.kernel.data_handle(), dbetween, g);
    for (int h = 0; h < Hidden; ++h) {
      const Real dnormed = g[h] * slope(saved, h);
      dw.norm1.scale(h) += dnormed * saved.xhat[h];
      dw.norm1.bias(h) += dnormed;
    }
    norm_gradient(w, saved, g);
    ops::add_outer<In, Hidden>(x, g, dw.dense1.kernel.data_handle());
    ops::axpy<Hidden>(Real(1), g, dw.dense1.bias.data_handle());
  }

 private:
  static Real slope(const Saved& saved, int h) { return saved.normed[h] > 0 ? Real(1) : saved.activated[h] + 1; }

  /// g: the gradient of the activated numbers, replaced by that of dense1's result.
  static void norm_gradient(const Weights& w, const Saved& saved, Real* g) {
    for (int h = 0; h < Hidden; ++h) g[h] *= slope(saved, h) * w.norm1.scale(h);
    const Real mean = ops::total<Hidden>(g) / Hidden, along = ops::dot<Hidden>(g, saved.xhat) / Hidden;
    for (int h = 0; h < Hidden; ++h) g[h] = saved.rstd * (g[h] - mean - saved.xhat[h] * along);
  }
};

}  // namespace fieldstep::blocks
