#pragma once
#include <fieldstep/blocks/normed_mlp.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/models/tidhy_variants.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>

namespace fieldstep::models {

/// TiDHy: a fast latent r that is decoded to an observation x, a slow latent r2 whose hypernetwork mixes the dynamics
/// matrices V_m that carry r to the next time.
///   (w, g) = relu(h(r2)),  r_bar = sum_m w_m V_m r_p (+ g * temporal_bias),  x ~ D(r)
/// Everything here is of one sample, the batch is a loop around it: r (R), r2 (Q), (w, g) (outputs), x (D).
/// Structure and state, which the NNX port splits, are the type and a flat arena: bind<Weights>(arena) merges them.
/// Source: Abe and Brunton 2025; TiDHy_torch.py, with the parameter tree and the names of its NNX port.
template <class Config_, class Real_ = float>
struct Tidhy {
  using Config = Config_;
  using Real = Real_;
  static constexpr int R = Config::r_dim, Q = Config::r2_dim, M = Config::mix_dim, D = Config::input_dim,
                       H = Config::hyper_hid_dim, HE = Config::r2_decoder_hid_dim;
  static_assert(R > 0 && Q > 0 && M > 0 && D > 0 && H > 0 && HE > 0, "Tidhy: all dimensions must be positive");
  static constexpr bool low_rank = Config::low_rank_temp, gated = Config::dyn_bias, nonlinear = Config::nonlin_decoder,
                        predicts_r2 = Config::use_r2_decoder;
  static constexpr int outputs = M + (gated ? R : 0);  ///< of the hypernetwork: weights of the mixture, then gates
  static constexpr bool has_gram = !nonlinear && Config::loss_type == TidhyLoss::mse;
  static constexpr int matrix = low_rank ? 2 * R : R * R;  ///< numbers of one matrix of the dynamics

  using Hypernet = blocks::NormedMlp<Real, Q, H, outputs, !gated>;
  using NonlinearDecoder = blocks::NormedMlp<Real, R, H, D>;
  using R2Decoder = blocks::NormedMlp<Real, R + Q, HE, Q>;

  template <class T>
  struct LinearDecoder {
    typename NonlinearDecoder::template Dense<T, R, D> dense;
    using hana_accessors_impl = Fields<Field<"dense", &LinearDecoder::dense>>;
  };
  template <class T>
  struct Params {
    std::conditional_t<low_rank, Tensor<T, M, R, 2>, Tensor<T, M, R * R>> temporal{nullptr};
    PresentIf<gated, Tensor<T, 1, R>> temporal_bias{nullptr};
    std::conditional_t<nonlinear, typename NonlinearDecoder::template Params<T>, LinearDecoder<T>> spatial_decoder;
    typename Hypernet::template Params<T> hypernet;
    PresentIf<predicts_r2, typename R2Decoder::template Params<T>> r2_decoder;
    using hana_accessors_impl =
        Fields<Field<"temporal", &Params::temporal>, Field<"temporal_bias", &Params::temporal_bias>,
               Field<"spatial_decoder", &Params::spatial_decoder>, Field<"hypernet", &Params::hypernet>,
               Field<"r2_decoder", &Params::r2_decoder>>;
  };
  using Weights = Params<const Real>;
  using Gradient = Params<Real>;
  static constexpr auto params = make_param_table<Params<Real>>();
  static ParamTable table() { return params; }
  static constexpr std::size_t arena_size = arena_count<Params<Real>>();

  /// What is computed once from the weights for many iterations: the last two layers of each network as one, and for a
  /// linear decoder under MSE its Gram matrix W W^T (R, R).
  struct Prepared {
    typename Hypernet::Folded hypernet;
    std::conditional_t<nonlinear, typename NonlinearDecoder::Folded, Real> decoder;
    std::conditional_t<predicts_r2, typename R2Decoder::Folded, Real> r2_decoder;
    Real gram[has_gram ? R * R : 1];
  };
  static void prepare(const Weights& w, Prepared& to) {
    Hypernet::fold(w.hypernet, to.hypernet);
    if constexpr (nonlinear) NonlinearDecoder::fold(w.spatial_decoder, to.decoder);
    if constexpr (predicts_r2) R2Decoder::fold(w.r2_decoder, to.r2_decoder);
    if constexpr (has_gram)
      for (int i = 0; i < R; ++i) ops::matrix_times_column<R, D>(kernel(w), kernel(w) + i * D, to.gram + i * R);
  }

  // --- The spatial decoder ---

  /// What its reverse pass reads.
  struct Decoded {
    std::conditional_t<nonlinear, typename NonlinearDecoder::Saved, Real> saved;
    Real between[nonlinear ? H : 1];
    Real linear[D];  ///< the last layer's output, before a sigmoid or a link
  };

  /// D(r) as the losses want it: before the sigmoid of BCE and the link of Poisson.
  static void decode(const Weights& w, const Real* r, Decoded& to) {
    if constexpr (nonlinear) {
      NonlinearDecoder::activate(w.spatial_decoder, Real(Config::layer_norm_eps), r, to.saved);
      NonlinearDecoder::finish(w.spatial_decoder, to.saved, to.between, to.linear);
    } else {
      ops::row_times_matrix<R, D>(r, kernel(w), w.spatial_decoder.dense.bias.data_handle(), to.linear);
    }
  }

  /// The observation that a linear output means: the mean, the probability or the rate.
  static Real observe(Real q) {
    if constexpr (Config::loss_type == TidhyLoss::bce) return 1 / (1 + std::exp(-q));
    if constexpr (Config::loss_type == TidhyLoss::poisson) {
      if constexpr (Config::poisson_link == PoissonLink::exp) return std::exp(q);
      if constexpr (Config::poisson_link == PoissonLink::softplus)
        return std::fmax(q, Real(0)) + std::log1p(std::exp(-std::abs(q)));
    }
    return q;
  }

  /// The loss of one channel, and its derivative by the linear output q.
  static Real element_loss(Real q, Real x) {
    const Real p = observe(q);
    constexpr Real eps = static_cast<Real>(Config::log_eps);
    if constexpr (Config::loss_type == TidhyLoss::mse) return (p - x) * (p - x);
    if constexpr (Config::loss_type == TidhyLoss::poisson) return p - x * std::log(p + eps);
    if constexpr (Config::bce_clamped)
      return -x * std::fmax(std::log(p), Real(-100)) - (1 - x) * std::fmax(std::log(1 - p), Real(-100));
    return -x * std::log(p + eps) - (1 - x) * std::log(1 - p + eps);
  }
  static Real element_slope(Real q, Real x) {
    constexpr Real eps = static_cast<Real>(Config::log_eps);
    if constexpr (Config::loss_type == TidhyLoss::mse) return 2 * (q - x);
    const Real p = observe(q);
    if constexpr (Config::loss_type == TidhyLoss::poisson) {
      if constexpr (Config::poisson_link == PoissonLink::exp) return p - x * p / (p + eps);
      if constexpr (Config::poisson_link == PoissonLink::softplus) return (1 - x / (p + eps)) / (1 + std::exp(-q));
      return 1 - x / (p + eps);
    }
    if constexpr (Config::bce_clamped) return p - x;
    return p * (1 - p) * (-x / (p + eps) + (1 - x) / (1 - p + eps));
  }

  /// Sum over the channels.
  static double spatial_loss(const Real* linear, const Real* x) {
    double sum = 0;
    for (int c = 0; c < D; ++c) sum += static_cast<double>(element_loss(linear[c], x[c]));
    return sum;
  }

  /// Once for an observation: what spatial_gradient() reads of it, (R) with a Gram matrix, W (x - b); else unused.
  static void project(const Weights& w, const Real* x, [[maybe_unused]] Real* projected) {
    if constexpr (has_gram) {
      Real centred[D];
      for (int c = 0; c < D; ++c) centred[c] = x[c] - w.spatial_decoder.dense.bias(c);
      ops::matrix_times_column<R, D>(kernel(w), centred, projected);
    }
  }

  /// Gradient of the summed loss by r. Overwrites g.
  static void spatial_gradient(const Weights& w, const Prepared& prepared, const Real* r, const Real* x,
                               [[maybe_unused]] const Real* projected, Real* g) {
    if constexpr (has_gram) {
      ops::matrix_times_column<R, R>(prepared.gram, r, g);
      for (int i = 0; i < R; ++i) g[i] = 2 * (g[i] - projected[i]);
    } else {
      Real linear[D];
      if constexpr (nonlinear) {
        typename NonlinearDecoder::Saved saved;
        NonlinearDecoder::activate(w.spatial_decoder, Real(Config::layer_norm_eps), r, saved);
        NonlinearDecoder::finish(prepared.decoder, saved, linear);
        for (int c = 0; c < D; ++c) linear[c] = element_slope(linear[c], x[c]);
        NonlinearDecoder::input_gradient(w.spatial_decoder, prepared.decoder, saved, linear, g);
      } else {
        ops::row_times_matrix<R, D>(r, kernel(w), w.spatial_decoder.dense.bias.data_handle(), linear);
        for (int c = 0; c < D; ++c) linear[c] = element_slope(linear[c], x[c]);
        ops::matrix_times_column<R, D>(kernel(w), linear, g);
      }
    }
  }

  /// Adds the decoder's gradients from dlinear (D); overwrites dr where it is not null.
  static void decoder_gradient(const Weights& w, const Prepared& prepared, const Real* r, const Decoded& decoded,
                               const Real* dlinear, Real* dr, const Gradient& dw) {
    if constexpr (nonlinear) {
      NonlinearDecoder::add_gradient(w.spatial_decoder, r, decoded.saved, decoded.between, dlinear, dw.spatial_decoder);
      if (dr) NonlinearDecoder::input_gradient(w.spatial_decoder, prepared.decoder, decoded.saved, dlinear, dr);
    } else {
      ops::add_outer<R, D>(r, dlinear, dw.spatial_decoder.dense.kernel.data_handle());
      ops::axpy<D>(Real(1), dlinear, dw.spatial_decoder.dense.bias.data_handle());
      if (dr) ops::matrix_times_column<R, D>(kernel(w), dlinear, dr);
    }
  }

  // --- The dynamics ---

  /// u_m = V_m r, (M, R): all that the matrices are needed for while r stays.
  static void carry(const Weights& w, const Real* r, Real* u) {
    for (int m = 0; m < M; ++m) {
      const Real* V = w.temporal.data_handle() + m * matrix;
      if constexpr (low_rank) {
        Real along[2] = {};
        for (int i = 0; i < R; ++i) along[0] += V[2 * i] * r[i], along[1] += V[2 * i + 1] * r[i];
        for (int i = 0; i < R; ++i) u[m * R + i] = V[2 * i] * along[0] + V[2 * i + 1] * along[1];
      } else {
        ops::matrix_times_column<R, R>(V, r, u + m * R);
      }
    }
  }

  /// r_bar from the hypernetwork's outputs: sum_m w_m u_m + g * temporal_bias.
  static void mix(const Weights& w, const Real* mixture, const Real* u, Real* r_bar) {
    for (int i = 0; i < R; ++i) r_bar[i] = 0;
    if constexpr (gated)
      for (int i = 0; i < R; ++i) r_bar[i] = mixture[M + i] * w.temporal_bias(0, i);
    for (int m = 0; m < M; ++m) ops::axpy<R>(mixture[m], u + m * R, r_bar);
  }

  /// The cotangent of the mixture from that of r_bar, without the ReLU's mask.
  static void unmix(const Weights& w, const Real* dr_bar, const Real* u, Real* dmixture) {
    ops::matrix_times_column<M, R>(u, dr_bar, dmixture);
    if constexpr (gated)
      for (int i = 0; i < R; ++i) dmixture[M + i] = dr_bar[i] * w.temporal_bias(0, i);
  }

  /// Adds the gradients of the dynamics and their bias from the cotangent d of r_bar: w_m d r_p^T of matrix m.
  static void dynamics_gradient(const Weights& w, const Real* mixture, const Real* r_p, const Real* d,
                                const Gradient& dw) {
    for (int m = 0; m < M; ++m) {
      Real* to = dw.temporal.data_handle() + m * matrix;
      if constexpr (low_rank) {  // (S + S^T) U with S = w_m d r_p^T
        const Real* U = w.temporal.data_handle() + m * matrix;
        Real along_r[2] = {}, along_d[2] = {};
        for (int i = 0; i < R; ++i)
          for (int k = 0; k < 2; ++k) along_r[k] += r_p[i] * U[2 * i + k], along_d[k] += d[i] * U[2 * i + k];
        for (int i = 0; i < R; ++i)
          for (int k = 0; k < 2; ++k) to[2 * i + k] += mixture[m] * (d[i] * along_r[k] + r_p[i] * along_d[k]);
      } else {
        for (int i = 0; i < R; ++i) ops::axpy<R>(mixture[m] * d[i], r_p, to + i * R);
      }
    }
    if constexpr (gated)
      for (int i = 0; i < R; ++i) dw.temporal_bias(0, i) += d[i] * mixture[M + i];
  }

  /// V = sum_m w_m V_m, (R, R).
  static void mixed_matrix(const Weights& w, const Real* mixture, Real* V) {
    std::fill_n(V, R * R, Real(0));
    for (int m = 0; m < M; ++m) {
      const Real* one = w.temporal.data_handle() + m * matrix;
      for (int i = 0; i < R; ++i)
        for (int j = 0; j < R; ++j)
          V[i * R + j] += mixture[m] * (low_rank ? one[2 * i] * one[2 * j] + one[2 * i + 1] * one[2 * j + 1]
                                                 : one[low_rank ? 0 : i * R + j]);
    }
  }

  /// relu of the hypernetwork's last layer, through the folded ones. Overwrites saved and mixture (outputs).
  static void mixture(const Weights& w, const Prepared& prepared, const Real* r2, typename Hypernet::Saved& saved,
                      Real* to) {
    Hypernet::activate(w.hypernet, Real(Config::layer_norm_eps), r2, saved);
    Hypernet::finish(prepared.hypernet, saved, to);
    for (int o = 0; o < outputs; ++o) to[o] = std::fmax(to[o], Real(0));
  }

  static const Real* kernel(const Weights& w) requires(!nonlinear) {
    return w.spatial_decoder.dense.kernel.data_handle();
  }
};

}  // namespace fieldstep::models
