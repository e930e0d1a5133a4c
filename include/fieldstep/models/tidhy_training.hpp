#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/models/tidhy_inference.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace fieldstep::models {

/// The four terms of TiDHy's loss, sums over time of means over the batch; in another role their weights.
struct TidhyLosses {
  double spatial_rhat = 0, spatial_rbar = 0;  ///< of the latents that were inferred, and of those that were predicted
  double temp = 0;                            ///< temp_weight included
  double r2 = 0;                              ///< of the R2 decoder

  double total() const { return spatial_rhat + spatial_rbar + temp + r2; }
};

/// The slow latents at the start, 0 or normal draws.
template <class Real>
void start_r2(const TidhyOptions& options, std::size_t count, Real* r2) {
  if (options.r2_init_std == 0) return static_cast<void>(std::fill_n(r2, count, Real(0)));
  for (std::size_t i = 0; i < count; ++i)
    r2[i] = static_cast<Real>(options.r2_init_std *
                              static_cast<double>(random_normal(random_bits(options.r2_init_key, i, 0))));
}

/// TiDHy on sequences: inference along them, the losses, and their gradient by all parameters at the latents that were
/// found, which are constants. Memory for `batch` sequences of `time` frames, allocated in the constructor.
///   X: (batch, time, D)
/// Source: TiDHy.forward; the NNX port differentiates through its inference, which is an oversight there.
template <class Net, class Exec = Kokkos::DefaultHostExecutionSpace>
class TidhyTraining {
 public:
  using Network = Net;
  using Weights = typename Net::Weights;
  using Real = typename Net::Real;
  using Config = typename Net::Config;
  static constexpr int R = Net::R, Q = Net::Q, M = Net::M, D = Net::D, outputs = Net::outputs;

  TidhyTraining(int batch, int time, const Exec& exec = {})
      : exec_(exec),
        time_(time),
        prepared_(std::make_unique<typename Net::Prepared>()),
        inference_(batch, exec),
        r_(at(batch) * at(time) * R),
        r2_(at(batch) * at(time) * Q),
        iterations_(at(time), 0),
        partial_(parts * Net::arena_size) {
    if (batch < 1 || time < 1)
      fail_usage("TidhyTraining: found ", batch, " sequences of ", time, " frames, wanted at least one of each");
  }

  int largest_batch() const { return inference_.largest_batch(); }
  int longest() const { return time_; }
  TidhyInference<Net, Exec>& inference() { return inference_; }
  const typename Net::Prepared& prepared() const { return *prepared_; }

  /// To be called when the weights have changed.
  void prepare(const typename Net::Weights& w) {
    w_ = w;
    Net::prepare(w, *prepared_);
  }

  /// Called behind every frame of an inference with its number and the updates made.
  void on_frame(std::function<void(int t, int updates)> progress) { progress_ = std::move(progress); }

  /// Infers the latents of all frames but the first, which has those given, (batch, R) and (batch, Q), or else the
  /// start of the options.
  void infer(const TidhyOptions& options, int batch, int time, const Real* X, const Real* r0 = nullptr,
             const Real* r2_0 = nullptr) {
    if (batch > largest_batch() || time > time_)
      fail_usage("TidhyTraining: found ", batch, " sequences of ", time, " frames, wanted at most ", largest_batch(),
                 " of ", time_);
    batch_ = batch, frames_ = time, X_ = X, options_ = options;
    if (r0)
      std::copy_n(r0, at(batch) * R, r(0));
    else
      std::fill_n(r(0), at(batch) * R, Real(0));
    if (r2_0)
      std::copy_n(r2_0, at(batch) * Q, r2(0));
    else
      start_r2(options, at(batch) * Q, r2(0));
    for (int t = 1; t < time; ++t) {
      std::copy_n(r2(t - 1), at(batch) * Q, r2(t));
      iterations_[at(t)] =
          inference_.infer(w_, *prepared_, options, batch, X + t * D, at(time) * D, r(t - 1), r(t), r2(t));
      if (progress_) progress_(t, iterations_[at(t)]);
    }
  }

  // Of the last infer(): latents of frame t, (batch, R) and (batch, Q), and the updates that were made.
  Real* r(int t) { return r_.data() + at(t) * at(batch_) * R; }
  Real* r2(int t) { return r2_.data() + at(t) * at(batch_) * Q; }
  std::span<const int> iterations() const { return std::span(iterations_).subspan(1, at(frames_ - 1)); }

  /// The losses at the latents of the last infer().
  TidhyLosses losses() { return pass({}, nullptr); }

  /// The same, and adds the gradient of weights.rhat L_rhat + weights.rbar L_rbar + ... to `gradient`, an arena of the
  /// parameters' layout. The sum over all frames is cut at fixed places: equal bits for any number of threads.
  TidhyLosses add_gradient(const TidhyLosses& weights, Real* gradient) { return pass(weights, gradient); }

 private:
  static constexpr std::size_t parts = 16;  // of the frames, summed one by one
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }

  TidhyLosses pass(const TidhyLosses& weights, Real* gradient) {
    std::array<TidhyLosses, parts> losses{};
    TidhyLosses* of_part = losses.data();
    const int rows = frames_ * batch_;
    if (gradient) std::fill_n(partial_.data(), partial_.size(), Real(0));
    for_ranges(exec_, static_cast<int>(parts), [=, this](int begin, int end) {
      for (int p = begin; p < end; ++p) {
        const auto cut = [=](int i) {
          return static_cast<int>(static_cast<long>(rows) * i / static_cast<long>(parts));
        };
        const auto dw = bind<typename Net::Gradient>(partial_.data() + at(p) * Net::arena_size);
        for (int row = cut(p); row < cut(p + 1); ++row)
          add_row(row / batch_, row % batch_, weights, gradient ? &dw : nullptr, of_part[p]);
      }
    });
    exec_.fence("TiDHy");
    TidhyLosses total;
    for (const TidhyLosses& one : losses) {
      total.spatial_rhat += one.spatial_rhat / batch_, total.spatial_rbar += one.spatial_rbar / batch_;
      total.temp += options_.temp_weight * one.temp / batch_, total.r2 += one.r2 / batch_;
    }
    if (gradient)
      for_ranges(exec_, static_cast<int>(Net::arena_size / 16), [=, this](int begin, int end) {
        for (std::size_t i = at(begin) * 16; i < at(end) * 16; ++i) {
          Real sum = 0;
          for (std::size_t p = 0; p < parts; ++p) sum += partial_.data()[p * Net::arena_size + i];
          gradient[i] += sum;
        }
      });
    return total;
  }

  /// Adds the sums of frame t of sample b, and where wanted its gradients.
  void add_row(int t, int b, const TidhyLosses& weights, const typename Net::Gradient* dw, TidhyLosses& sums) {
    const Real* x = X_ + (at(b) * at(frames_) + at(t)) * D;
    const Real share = 1 / static_cast<Real>(batch_);
    typename Net::Decoded decoded;
    Real dlinear[D];
    const auto slopes = [&](double weight) {
      for (int c = 0; c < D; ++c)
        dlinear[c] = static_cast<Real>(weight) * share * Net::element_slope(decoded.linear[c], x[c]);
    };
    static constexpr Real zeros[R] = {};
    const Real* r_here = t == 0 ? zeros : r(t) + b * R;  // the first frame trains the decoder's path of biases only
    Net::decode(w_, r_here, decoded);
    sums.spatial_rhat += Net::spatial_loss(decoded.linear, x);
    if (dw) {
      slopes(weights.spatial_rhat);
      Net::decoder_gradient(w_, *prepared_, r_here, decoded, dlinear, nullptr, *dw);
    }
    if (t == 0) return;

    const Real *r_p = r(t - 1) + b * R, *r2_here = r2(t) + b * Q;
    typename Net::Hypernet::Saved saved;
    Real between[Net::H], mixture[outputs], u[M * R], r_bar[R], d[R];
    Net::Hypernet::activate(w_.hypernet, static_cast<Real>(Config::layer_norm_eps), r2_here, saved);
    Net::Hypernet::finish(w_.hypernet, saved, between, mixture);
    for (Real& o : mixture) o = std::fmax(o, Real(0));
    Net::carry(w_, r_p, u);
    Net::mix(w_, mixture, u, r_bar);
    Net::decode(w_, r_bar, decoded);
    sums.spatial_rbar += Net::spatial_loss(decoded.linear, x);
    for (int i = 0; i < R; ++i) {
      const Real e = r_bar[i] - r_here[i];
      sums.temp += static_cast<double>(e) * static_cast<double>(e);
      d[i] = static_cast<Real>(2 * weights.temp * options_.temp_weight) * share * e;
    }
    if (dw) {
      Real dr[R], dmixture[outputs];
      slopes(weights.spatial_rbar);
      Net::decoder_gradient(w_, *prepared_, r_bar, decoded, dlinear, dr, *dw);
      for (int i = 0; i < R; ++i) d[i] += dr[i];
      Net::dynamics_gradient(w_, mixture, r_p, d, *dw);
      Net::unmix(w_, d, u, dmixture);
      for (int o = 0; o < outputs; ++o)
        if (!(mixture[o] > 0)) dmixture[o] = 0;
      Net::Hypernet::add_gradient(w_.hypernet, r2_here, saved, between, dmixture, dw->hypernet);
    }
    if constexpr (Net::predicts_r2) add_r2_row(t, b, weights.r2, dw, sums);
  }

  void add_r2_row(int t, int b, double weight, const typename Net::Gradient* dw, TidhyLosses& sums) {
    using E = typename Net::R2Decoder;
    typename E::Saved saved;
    Real in[R + Q], between[Net::HE], predicted[Q];
    std::copy_n(r(t - 1) + b * R, R, in), std::copy_n(r2(t - 1) + b * Q, Q, in + R);
    E::activate(w_.r2_decoder, static_cast<Real>(Config::layer_norm_eps), in, saved);
    E::finish(w_.r2_decoder, saved, between, predicted);
    for (int i = 0; i < Q; ++i) {
      const Real e = predicted[i] - r2(t)[b * Q + i];
      sums.r2 += static_cast<double>(e) * static_cast<double>(e);
      predicted[i] = static_cast<Real>(2 * weight) / static_cast<Real>(batch_) * e;
    }
    if (dw) E::add_gradient(w_.r2_decoder, in, saved, between, predicted, dw->r2_decoder);
  }

  Exec exec_;
  int time_;
  std::unique_ptr<typename Net::Prepared> prepared_;
  TidhyInference<Net, Exec> inference_;
  Arena<Real> r_, r2_;
  std::vector<int> iterations_;
  Arena<Real> partial_;  // gradients of the parts
  typename Net::Weights w_{};
  TidhyOptions options_{};
  std::function<void(int, int)> progress_{};
  const Real* X_ = nullptr;  // of the last infer(), as batch_ and frames_
  int batch_ = 0, frames_ = 0;
};

}  // namespace fieldstep::models
