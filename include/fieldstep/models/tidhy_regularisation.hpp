#pragma once
#include <fieldstep/models/tidhy.hpp>
#include <fieldstep/ops/small_svd.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

namespace fieldstep::models {

/// Weights of what TiDHy's training adds to its losses, by the names of the original.
struct TidhyRegularisation {
  double cos_eta = 0;          ///< |cosine| between the dynamics matrices
  double L1_alpha = 0;         ///< |temporal|
  double L1_alpha_spat = 0;    ///< |first layer of the spatial decoder|
  double L1_alpha_W = 0;       ///< |last layer of the hypernetwork|
  double Orth_alpha_spat = 0;  ///< distance of the first decoder layer's latents from orthonormal
  double Orth_alpha_r2 = 0;    ///< |cosine| between what the hypernetwork's first layer does with the slow latents
  double Lnuc_alpha = 0;       ///< nuclear norm of the dynamics matrices
  double L0_alpha = 0;         ///< more than 0: entries of temporal below 1e-4 become 0 after an update
};

namespace detail {

/// scale times the sum of |cosine| over all pairs of rows (rows, length). Adds its gradient to dx where not null.
template <class Real>
double cosine_penalty(int rows, int length, const Real* x, double scale, Real* dx) {
  const auto row = [&](int i) { return static_cast<std::ptrdiff_t>(i) * length; };
  const auto dot = [&](int i, int j) {
    double sum = 0;
    for (int k = 0; k < length; ++k) sum += static_cast<double>(x[row(i) + k]) * static_cast<double>(x[row(j) + k]);
    return sum;
  };
  double value = 0;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < i; ++j) {
      const double ni = std::sqrt(dot(i, i)), nj = std::sqrt(dot(j, j));
      const double c = dot(i, j) / (ni * nj), sign = c > 0 ? scale : c < 0 ? -scale : 0;
      value += scale * std::abs(c);
      for (int k = 0; dx && k < length; ++k) {
        const double vi = static_cast<double>(x[row(i) + k]) / ni, vj = static_cast<double>(x[row(j) + k]) / nj;
        dx[row(i) + k] += static_cast<Real>(sign * (vj - c * vi) / ni);
        dx[row(j) + k] += static_cast<Real>(sign * (vi - c * vj) / nj);
      }
    }
  return value;
}

/// scale times sum |x|.
template <class Real>
double magnitude_penalty(std::size_t count, const Real* x, double scale, Real* dx) {
  double value = 0;
  for (std::size_t i = 0; scale != 0 && i < count; ++i) {
    value += scale * std::abs(static_cast<double>(x[i]));
    if (dx) dx[i] += static_cast<Real>(x[i] > 0 ? scale : x[i] < 0 ? -scale : 0);
  }
  return value;
}

}  // namespace detail

/// What is added to the temporal loss: the cosines of the dynamics (of the rows inside each matrix where it is of low
/// rank) and of the hypernetwork's first layer. Returns the value; adds weight times the gradient to dw where not null.
/// Source: train() of TiDHy_torch.py: cos_reg, Orth_alpha_r2.
template <class Net>
double temporal_regularisation(const typename Net::Weights& w, const TidhyRegularisation& of, double weight,
                               const typename Net::Gradient* dw) {
  using Real = typename Net::Real;
  double value = 0;
  const auto penalty = [&](int rows, int length, const Real* x, double scale, Real* dx) {
    if (scale == 0 || weight == 0) return 0.;
    return detail::cosine_penalty(rows, length, x, scale * weight, dx) / weight;
  };
  const Real* temporal = w.temporal.data_handle();
  Real* dtemporal = dw ? dw->temporal.data_handle() : nullptr;
  if constexpr (Net::low_rank)
    for (int m = 0; m < Net::M; ++m)
      value += penalty(Net::R, 2, temporal + m * Net::matrix, of.cos_eta / Net::M,
                       dtemporal ? dtemporal + m * Net::matrix : nullptr);
  else
    value += penalty(Net::M, Net::matrix, temporal, of.cos_eta / Net::M, dtemporal);
  value += penalty(Net::Q, Net::H, w.hypernet.dense1.kernel.data_handle(), of.Orth_alpha_r2 / Net::Q,
                   dw ? dw->hypernet.dense1.kernel.data_handle() : nullptr);
  return value;
}

/// The rest, which balancing adds to every task. Returns the value; adds weight times the gradient.
/// Source: train() of TiDHy_torch.py.
template <class Net>
double shared_regularisation(const typename Net::Weights& w, const TidhyRegularisation& of, double weight,
                             const typename Net::Gradient* dw) {
  using Real = typename Net::Real;
  constexpr int R = Net::R, first_width = Net::nonlinear ? Net::H : Net::D;
  const auto first_layer = [](const auto& tree) {
    if constexpr (Net::nonlinear)
      return tree.spatial_decoder.dense1.kernel.data_handle();
    else
      return tree.spatial_decoder.dense.kernel.data_handle();
  };
  const auto l1 = [&](std::size_t count, const Real* x, double scale, Real* dx) {
    return weight == 0 ? 0. : detail::magnitude_penalty(count, x, scale * weight, dx) / weight;
  };
  const Real *temporal = w.temporal.data_handle(), *K = first_layer(w);
  Real *dtemporal = dw ? dw->temporal.data_handle() : nullptr, *dK = dw ? first_layer(*dw) : nullptr;
  double value = l1(static_cast<std::size_t>(Net::M * Net::matrix), temporal, of.L1_alpha, dtemporal);
  value += l1(static_cast<std::size_t>(R * first_width), K, of.L1_alpha_spat, dK);
  value += l1(static_cast<std::size_t>(Net::H * Net::outputs), w.hypernet.dense3.kernel.data_handle(), of.L1_alpha_W,
              dw ? dw->hypernet.dense3.kernel.data_handle() : nullptr);

  if (of.Orth_alpha_spat != 0) {  // mean (K K^T - I)^2
    for (int i = 0; i < R; ++i)
      for (int j = 0; j < R; ++j) {
        const Real off = ops::dot<first_width>(K + i * first_width, K + j * first_width) - Real(i == j);
        value += of.Orth_alpha_spat * static_cast<double>(off) * static_cast<double>(off) / (R * R);
        if (dK)
          ops::axpy<first_width>(static_cast<Real>(weight * of.Orth_alpha_spat * 4 / (R * R)) * off,
                                 K + j * first_width, dK + i * first_width);
      }
  }
  for (int m = 0; of.Lnuc_alpha != 0 && m < Net::M; ++m) {
    const Real* V = temporal + m * Net::matrix;
    if constexpr (Net::low_rank) {  // U U^T is positive: its trace
      for (int i = 0; i < Net::matrix; ++i) {
        value += of.Lnuc_alpha * static_cast<double>(V[i]) * static_cast<double>(V[i]);
        if (dtemporal) dtemporal[m * Net::matrix + i] += static_cast<Real>(weight * of.Lnuc_alpha * 2) * V[i];
      }
    } else {
      std::vector<Real> slope(R * R);
      value += of.Lnuc_alpha * ops::nuclear_norm(R, V, slope.data());
      if (dtemporal)
        ops::axpy<R * R>(static_cast<Real>(weight * of.Lnuc_alpha), slope.data(), dtemporal + m * Net::matrix);
    }
  }
  return value;
}

/// Projections after an update.
struct TidhyNormalisation {
  bool spatial = false, temporal = false;
};

/// Scales the first decoder layer, per latent or per channel as the configuration says, and the dynamics, per matrix
/// (of low rank: per row), to norm 1.
/// Source: TiDHy.normalize; the NNX port leaves a nonlinear decoder as it is, and so does SpatialNorm::channel.
template <class Net>
void normalize(const typename Net::Gradient& w, const TidhyNormalisation& which) {
  using Real = typename Net::Real;
  const auto scale = [](int count, std::ptrdiff_t stride, Real* x) {
    double squares = 0;
    for (int i = 0; i < count; ++i) squares += static_cast<double>(x[i * stride]) * static_cast<double>(x[i * stride]);
    const double norm = std::sqrt(squares);
    const auto divisor = static_cast<Real>(Net::Config::norm_plus_eps ? norm + 1e-10 : std::fmax(norm, 1e-12));
    for (int i = 0; i < count; ++i) x[i * stride] /= divisor;
  };
  constexpr bool per_latent = Net::Config::spatial_norm == SpatialNorm::latent;
  if (which.spatial) {
    if constexpr (Net::nonlinear) {
      for (int i = 0; per_latent && i < Net::R; ++i) scale(Net::H, 1, &w.spatial_decoder.dense1.kernel(i, 0));
    } else {
      Real* K = w.spatial_decoder.dense.kernel.data_handle();
      if (per_latent)
        for (int i = 0; i < Net::R; ++i) scale(Net::D, 1, K + i * Net::D);
      else
        for (int c = 0; c < Net::D; ++c) scale(Net::R, Net::D, K + c);
    }
  }
  if (which.temporal) {
    constexpr int length = Net::low_rank ? 2 : Net::matrix;
    for (int i = 0; i < Net::M * Net::matrix; i += length) scale(length, 1, w.temporal.data_handle() + i);
  }
}

}  // namespace fieldstep::models
