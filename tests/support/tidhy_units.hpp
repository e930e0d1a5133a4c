#pragma once
#include <fieldstep/models/tidhy_prediction.hpp>
#include <support/tidhy_case.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace fieldstep::support {

/// The parts of a TiDHy network one at a time, at the numbers of a case's inputs unit/*: every layer, the temporal
/// prediction, the inner objective with its gradient, the reverse passes of both predictions.
template <class Net>
class TidhyUnits {
 public:
  explicit TidhyUnits(TidhyCase<Net>& of) : case_(of) {}

  void compute() {
    const Numbers &r = case_.inputs.at("unit/r"), &r_p = case_.inputs.at("unit/r_p"), &r2 = case_.inputs.at("unit/r2"),
                  &X = case_.inputs.at("X");
    const auto prepared = std::make_unique<typename Net::Prepared>();
    Net::prepare(case_.bound(), *prepared);
    const auto w = case_.bound();
    const Real eps = static_cast<Real>(Net::Config::layer_norm_eps);
    for (int b = 0; b < case_.B; ++b) {
      layers<typename Net::Hypernet>("unit/hypernet.", w.hypernet, eps, r2.data() + b * Q, true);
      if constexpr (Net::nonlinear) {
        layers<typename Net::NonlinearDecoder>("unit/spatial_decoder.", w.spatial_decoder, eps, r.data() + b * R,
                                               false);
      } else {
        typename Net::Decoded decoded;
        Net::decode(w, r.data() + b * R, decoded);
        for (const Real q : decoded.linear) case_.append("unit/spatial_decoder.0", q);
        if (Net::Config::loss_type == models::TidhyLoss::bce)
          for (const Real q : decoded.linear) case_.append("unit/spatial_decoder.1", Net::observe(q));
      }
      if constexpr (Net::predicts_r2) {
        using E = typename Net::R2Decoder;
        typename E::Saved saved;
        Real in[R + Q], out[Q];
        std::copy_n(r.data() + b * R, R, in), std::copy_n(r2.data() + b * Q, Q, in + R);
        E::activate(w.r2_decoder, eps, in, saved);
        E::finish(prepared->r2_decoder, saved, out);
        for (const Real v : out) case_.append("unit/r2_bar", v);
      }
    }
    const auto latents = static_cast<std::size_t>(case_.B * R);
    Numbers r_bar(latents), V(latents * R), mixture(static_cast<std::size_t>(case_.B * Net::outputs));
    models::temporal_prediction<Net>(w, *prepared, case_.B, r_p.data(), r2.data(), r_bar.data(), V.data(),
                                     mixture.data());
    case_.keep("unit/r_bar", r_bar), case_.keep("unit/V", V);
    for (int b = 0; b < case_.B; ++b)
      for (int m = 0; m < M; ++m) case_.append("unit/w", mixture[static_cast<std::size_t>(b * Net::outputs + m)]);

    models::TidhyInference<Net> inference(case_.B);
    Numbers dr(latents), dr2(static_cast<std::size_t>(case_.B * Q));
    models::TidhyOptions options = case_.options.inference;
    const std::size_t stride = static_cast<std::size_t>(case_.T) * D;
    const double value = inference.objective(w, *prepared, options, case_.B, X.data() + D, stride, r_p.data(), r.data(),
                                             r2.data(), dr.data(), dr2.data());
    case_.keep_number("unit/inf_loss", value);
    case_.keep("unit/inf_grad_r", dr), case_.keep("unit/inf_grad_r2", dr2);

    std::vector<Real> gradient(Net::arena_size, 0);
    temporal_vjp(w, *prepared, r_p, r2, r, gradient);
    spatial_vjp(w, *prepared, r, X, gradient);
    double temporal = 0, slow = 0;
    for (std::size_t i = 0; i < latents; ++i) temporal += square(r[i] - r_bar[i]) / case_.B;
    case_.keep_number("unit/temporal_loss", temporal);
    if (case_.computed.contains("unit/r2_bar"))
      for (std::size_t i = 0; i < r2.size(); ++i) slow += square(r2[i] - case_.computed.at("unit/r2_bar")[i]) / case_.B;
    case_.keep_number("unit/r2_loss", slow);
  }

 private:
  using Real = typename Net::Real;
  using Numbers = std::vector<Real>;
  static constexpr int R = Net::R, Q = Net::Q, M = Net::M, D = Net::D;

  static double square(auto x) { return static_cast<double>(x) * static_cast<double>(x); }

  template <class Mlp>
  void layers(const std::string& name, const typename Mlp::Weights& w, Real eps, const Real* x, bool relu) {
    constexpr int H = static_cast<int>(decltype(w.norm1.scale)::static_extent(0)),
                  In = static_cast<int>(decltype(w.dense1.kernel)::static_extent(0)),
                  Out = static_cast<int>(decltype(w.dense3.kernel)::static_extent(1));
    typename Mlp::Saved saved;
    Real first[H], between[H], out[Out];
    ops::row_times_matrix<In, H>(x, w.dense1.kernel.data_handle(), w.dense1.bias.data_handle(), first);
    Mlp::activate(w, eps, x, saved);
    Mlp::finish(w, saved, between, out);
    for (int h = 0; h < H; ++h) {
      case_.append(name + "0", first[h]), case_.append(name + "1", saved.normed[h]);
      case_.append(name + "2", saved.activated[h]), case_.append(name + "3", between[h]);
    }
    for (const Real v : out) {
      case_.append(name + "4", v);
      if (relu) case_.append(name + "5", std::fmax(v, Real(0)));
    }
  }

  void temporal_vjp(const typename Net::Weights& w, const typename Net::Prepared& prepared, const Numbers& r_p,
                    const Numbers& r2, const Numbers& g, std::vector<Real>& gradient) {
    Numbers dr_p(r_p.size()), dr2(r2.size());
    std::ranges::fill(gradient, Real(0));
    models::temporal_prediction_vjp<Net>(w, prepared, case_.B, r_p.data(), r2.data(), g.data(), dr_p.data(), dr2.data(),
                                         bind<typename Net::Gradient>(gradient.data()));
    case_.keep("unit/vjp_temporal/r_p", dr_p), case_.keep("unit/vjp_temporal/r2", dr2);
    case_.keep_params("unit/vjp_temporal/", gradient.data());
  }

  void spatial_vjp(const typename Net::Weights& w, const typename Net::Prepared& prepared, const Numbers& r,
                   const Numbers& X, std::vector<Real>& gradient) {
    std::ranges::fill(gradient, Real(0));
    const auto dw = bind<typename Net::Gradient>(gradient.data());
    double loss = 0;
    for (int b = 0; b < case_.B; ++b) {
      const Real* x = X.data() + (b * case_.T + 1) * D;
      typename Net::Decoded decoded;
      Real dlinear[D], dr[R];
      Net::decode(w, r.data() + b * R, decoded);
      loss += Net::spatial_loss(decoded.linear, x) / case_.B;
      for (int c = 0; c < D; ++c) dlinear[c] = Net::element_slope(decoded.linear[c], x[c]) / static_cast<Real>(case_.B);
      Net::decoder_gradient(w, prepared, r.data() + b * R, decoded, dlinear, dr, dw);
      for (const Real v : dr) case_.append("unit/vjp_spatial/r", v);
    }
    case_.keep_number("unit/spatial_loss", loss);
    case_.keep_params("unit/vjp_spatial/", gradient.data());
  }

  TidhyCase<Net>& case_;
};

}  // namespace fieldstep::support
