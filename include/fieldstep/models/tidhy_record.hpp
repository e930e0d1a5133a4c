#pragma once
#include <fieldstep/models/tidhy_training.hpp>

#include <vector>

namespace fieldstep::models {

/// All that an evaluation of sequences records, (batch, time, ...) each; averages are sums over time and channels,
/// means over the batch. I_bar and R_bar are one-step predictions with the r2 of the time before, so Ut[t] belongs to
/// R2_hat[t-1], W[t] to R2_hat[t].
/// Source: TiDHy.evaluate_record.
template <class Real>
struct TidhyRecord {
  std::vector<Real> I{}, I_hat{}, I_bar{}, spatial_loss_rhat{}, spatial_loss_rbar{};  ///< D
  std::vector<Real> R_hat{}, R_bar{}, temp_loss{};                                    ///< R; temp_weight not included
  std::vector<Real> R2_hat{};                                                         ///< Q
  std::vector<Real> W{};                                                              ///< M
  std::vector<Real> Ut{};                                                             ///< (R, R)
  std::vector<Real> b{};                                                              ///< R, with dyn_bias only
  double spatial_loss_rhat_avg = 0, spatial_loss_rbar_avg = 0, temp_loss_avg = 0;     ///< temp_weight included
  std::vector<int> iterations{};  ///< (time), the first frame's first
  int batch = 0, time = 0, R = 0, Q = 0, M = 0, D = 0;

  /// show(name, numbers, what of a frame's shape stands behind (batch, time)), by the original's names.
  void visit(const auto& show) const {
    using Shape = std::vector<int>;
    show("I", I, Shape{D}), show("I_hat", I_hat, Shape{D}), show("I_bar", I_bar, Shape{D});
    show("R_hat", R_hat, Shape{R}), show("R_bar", R_bar, Shape{R}), show("R2_hat", R2_hat, Shape{Q});
    show("W", W, Shape{M}), show("Ut", Ut, Shape{R, R});
    if (!b.empty()) show("b", b, Shape{R});
    show("spatial_loss_rhat", spatial_loss_rhat, Shape{D}), show("spatial_loss_rbar", spatial_loss_rbar, Shape{D});
    show("temp_loss", temp_loss, Shape{R});
  }
};

/// Infers the sequences X (batch, time, D) and records everything. progress(t) is called after frame t.
template <class Training, class Real, class Progress>
TidhyRecord<Real> evaluate_record(Training& training, const typename Training::Weights& w, const TidhyOptions& options,
                                  int batch, int time, const Real* X, const Progress& progress) {
  using Net = typename Training::Network;
  constexpr std::size_t R = Net::R, Q = Net::Q, M = Net::M, D = Net::D;
  const std::size_t rows = static_cast<std::size_t>(batch) * static_cast<std::size_t>(time);
  if (batch < 1 || time < 1 || batch > training.largest_batch())
    fail_usage("evaluate_record: found ", batch, " sequences of ", time, " frames, wanted 1 to ",
               training.largest_batch(), " of at least one");
  TidhyRecord<Real> record{.batch = batch, .time = time, .R = Net::R, .Q = Net::Q, .M = Net::M, .D = Net::D};
  record.I.assign(X, X + rows * D);
  for (auto* of_channels : {&record.I_hat, &record.I_bar, &record.spatial_loss_rhat, &record.spatial_loss_rbar})
    of_channels->assign(rows * D, 0);
  for (auto* of_latents : {&record.R_hat, &record.R_bar, &record.temp_loss}) of_latents->assign(rows * R, 0);
  record.R2_hat.assign(rows * Q, 0), record.W.assign(rows * M, 0), record.Ut.assign(rows * R * R, 0);
  if (Net::gated) record.b.assign(rows * R, 0);

  auto& inference = training.inference();
  const typename Net::Prepared& prepared = training.prepared();
  std::vector<Real> r(static_cast<std::size_t>(batch) * R, 0), r_p = r, r2(static_cast<std::size_t>(batch) * Q, 0),
                                                               r_bar(R), u(M * R), mixture(Net::outputs);
  start_r2(options, r2.size(), r2.data());
  const std::size_t stride = static_cast<std::size_t>(time) * D;
  typename Net::Decoded decoded;
  typename Net::Hypernet::Saved saved;
  const auto decode = [&](const Real* latent, std::size_t row, std::vector<Real>& observed, std::vector<Real>& losses) {
    Net::decode(w, latent, decoded);
    double sum = 0;
    for (std::size_t c = 0; c < D; ++c) {
      observed[row * D + c] = Net::observe(decoded.linear[c]);
      losses[row * D + c] = Net::element_loss(decoded.linear[c], X[row * D + c]);
      sum += static_cast<double>(losses[row * D + c]);
    }
    return sum / batch;
  };

  record.iterations.push_back(inference.infer_first(w, prepared, options, batch, X, stride, r.data()));
  const std::vector<Real> zeros(R, 0);
  for (std::size_t s = 0; s < static_cast<std::size_t>(batch); ++s) {
    const std::size_t row = s * static_cast<std::size_t>(time);
    std::copy_n(r.data() + s * R, R, record.R_hat.data() + row * R);
    record.spatial_loss_rhat_avg += decode(r.data() + s * R, row, record.I_hat, record.spatial_loss_rhat);
    record.spatial_loss_rbar_avg += decode(zeros.data(), row, record.I_bar, record.spatial_loss_rbar);
  }
  progress(0);
  for (int t = 1; t < time; ++t) {
    for (std::size_t s = 0; s < static_cast<std::size_t>(batch); ++s) {  // the prediction, with the r2 of before
      const std::size_t row = s * static_cast<std::size_t>(time) + static_cast<std::size_t>(t);
      Net::mixture(w, prepared, r2.data() + s * Q, saved, mixture.data());
      Net::carry(w, r.data() + s * R, u.data());
      Net::mix(w, mixture.data(), u.data(), r_bar.data());
      Net::mixed_matrix(w, mixture.data(), record.Ut.data() + row * R * R);
      std::copy_n(r_bar.data(), R, record.R_bar.data() + row * R);
      record.spatial_loss_rbar_avg += decode(r_bar.data(), row, record.I_bar, record.spatial_loss_rbar);
    }
    r_p.swap(r);
    record.iterations.push_back(inference.infer(w, prepared, options, batch, X + static_cast<std::size_t>(t) * D,
                                                stride, r_p.data(), r.data(), r2.data()));
    for (std::size_t s = 0; s < static_cast<std::size_t>(batch); ++s) {
      const std::size_t row = s * static_cast<std::size_t>(time) + static_cast<std::size_t>(t);
      const Real* latent = r.data() + s * R;
      std::copy_n(latent, R, record.R_hat.data() + row * R);
      std::copy_n(r2.data() + s * Q, Q, record.R2_hat.data() + row * Q);
      record.spatial_loss_rhat_avg += decode(latent, row, record.I_hat, record.spatial_loss_rhat);
      for (std::size_t i = 0; i < R; ++i) {
        const Real e = latent[i] - record.R_bar[row * R + i];
        record.temp_loss[row * R + i] = e * e;
        record.temp_loss_avg += options.temp_weight * static_cast<double>(e * e) / batch;
      }
      Net::mixture(w, prepared, r2.data() + s * Q, saved, mixture.data());
      std::copy_n(mixture.data(), M, record.W.data() + row * M);
      if (Net::gated) std::copy_n(mixture.data() + M, R, record.b.data() + row * R);
    }
    progress(t);
  }
  return record;
}

}  // namespace fieldstep::models
