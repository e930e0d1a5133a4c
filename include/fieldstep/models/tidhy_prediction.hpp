#pragma once
#include <fieldstep/models/tidhy.hpp>

namespace fieldstep::models {

/// r_bar = V(r2) r_p (+ g * temporal_bias) of a batch: one step of the learned dynamics.
///   r_p, r_bar (batch, R), r2 (batch, Q); V (batch, R, R) and mixture (batch, outputs): where they are not null
/// Source: TiDHy.temporal_prediction.
template <class Net>
void temporal_prediction(const typename Net::Weights& w, const typename Net::Prepared& prepared, int batch,
                         const typename Net::Real* r_p, const typename Net::Real* r2, typename Net::Real* r_bar,
                         typename Net::Real* V = nullptr, typename Net::Real* mixture = nullptr) {
  typename Net::Hypernet::Saved saved;
  typename Net::Real own[Net::outputs], u[Net::M * Net::R];
  for (int b = 0; b < batch; ++b) {
    Net::mixture(w, prepared, r2 + b * Net::Q, saved, own);
    Net::carry(w, r_p + b * Net::R, u);
    Net::mix(w, own, u, r_bar + b * Net::R);
    if (V) Net::mixed_matrix(w, own, V + b * Net::R * Net::R);
    if (mixture) std::copy_n(own, Net::outputs, mixture + b * Net::outputs);
  }
}

/// Its gradients from g = dL/dr_bar (batch, R): overwrites dr_p and dr2, adds to dw.
template <class Net>
void temporal_prediction_vjp(const typename Net::Weights& w, const typename Net::Prepared& prepared, int batch,
                             const typename Net::Real* r_p, const typename Net::Real* r2, const typename Net::Real* g,
                             typename Net::Real* dr_p, typename Net::Real* dr2, const typename Net::Gradient& dw) {
  using Real = typename Net::Real;
  constexpr int R = Net::R;
  typename Net::Hypernet::Saved saved;
  Real between[Net::H], mixture[Net::outputs], dmixture[Net::outputs], u[Net::M * R], V[R * R];
  for (int b = 0; b < batch; ++b, r_p += R, g += R, dr_p += R, r2 += Net::Q, dr2 += Net::Q) {
    Net::Hypernet::activate(w.hypernet, static_cast<Real>(Net::Config::layer_norm_eps), r2, saved);
    Net::Hypernet::finish(w.hypernet, saved, between, mixture);
    for (Real& o : mixture) o = std::fmax(o, Real(0));
    Net::carry(w, r_p, u);
    Net::mixed_matrix(w, mixture, V);
    ops::row_times_matrix<R, R>(g, V, static_cast<const Real*>(nullptr), dr_p);
    Net::dynamics_gradient(w, mixture, r_p, g, dw);
    Net::unmix(w, g, u, dmixture);
    for (int o = 0; o < Net::outputs; ++o)
      if (!(mixture[o] > 0)) dmixture[o] = 0;
    Net::Hypernet::add_gradient(w.hypernet, r2, saved, between, dmixture, dw.hypernet);
    Net::Hypernet::input_gradient(w.hypernet, prepared.hypernet, saved, dmixture, dr2);
  }
}

}  // namespace fieldstep::models
