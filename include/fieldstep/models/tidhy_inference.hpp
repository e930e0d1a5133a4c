#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/models/tidhy.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

namespace fieldstep::models {

/// TiDHy's inner minimisation: the latents of a batch at one time, given those before, by gradient descent with
/// Nesterov momentum and soft thresholds on
///   J(r, r2) = <l(D(r), x)> + temp_weight <(r - r_bar(r_p, r2))^2> + L1 terms (+ <(r2 - E(r, r2))^2>)
/// where <> is the mean over the batch (mean_over): a sample's gradient is 1/B of its own, and all samples stop
/// together. Samples are independent between two tests for convergence. It allocates in its constructor only. Source:
/// TiDHy's inf and inf_step; the gradients are written out, arXiv and code differ in nothing that is used here.
template <class Net, class Exec = Kokkos::DefaultHostExecutionSpace>
class TidhyInference {
 public:
  using Real = typename Net::Real;
  using Config = typename Net::Config;
  static constexpr int R = Net::R, Q = Net::Q, M = Net::M, D = Net::D, outputs = Net::outputs;

  explicit TidhyInference(int batch, const Exec& exec = {}) : exec_(exec), samples_(static_cast<std::size_t>(batch)) {}

  int largest_batch() const { return static_cast<int>(samples_.size()); }

  /// Minimises from r = 0 and r2 as given. Overwrites r (batch, R), r2 (batch, Q). r_p (batch, R), x (batch, D) with
  /// x_stride numbers between samples. Returns the updates made.
  int infer(const typename Net::Weights& w, const typename Net::Prepared& prepared, const TidhyOptions& options,
            int batch, const Real* x, std::size_t x_stride, const Real* r_p, Real* r, Real* r2) {
    for_samples(batch, 1, [=, &w](Sample& s, int b) {
      s.x = x + at(b) * x_stride;
      Net::project(w, s.x, s.projected);
      Net::carry(w, r_p + b * R, s.u);
      std::fill_n(s.r, R, Real(0)), std::fill_n(s.m_r, R, Real(0)), std::fill_n(s.m_r2, Q, Real(0));
      std::copy_n(r2 + b * Q, Q, s.r2);
    });
    const int updates = options.grad_norm_inf ? balanced_updates(w, prepared, options, batch)
                                              : plain_updates(w, prepared, options, batch);
    for (int b = 0; b < batch; ++b) {
      std::copy_n(samples_[at(b)].r, R, r + b * R);
      std::copy_n(samples_[at(b)].r2, Q, r2 + b * Q);
    }
    return updates;
  }

  /// The first frame's r by AdamW on <l(D(r), x)> alone, from r = 0. Returns the updates made.
  int infer_first(const typename Net::Weights& w, const typename Net::Prepared& prepared, const TidhyOptions& options,
                  int batch, const Real* x, std::size_t x_stride, Real* r) {
    for (int b = 0; b < batch; ++b) {
      Sample& s = samples_[at(b)];
      s.x = x + at(b) * x_stride;
      Net::project(w, s.x, s.projected);
      std::fill_n(s.r, R, Real(0)), std::fill_n(s.m_r, R, Real(0)), std::fill_n(s.v_r, R, Real(0));
    }
    int i = 0;
    for (bool converged = false; i < options.max_iter && !converged; ++i) {
      for_samples(batch, 1, [=, &w, &prepared, &options](Sample& s, int) {
        adamw_update(w, prepared, options, options.samples(batch), i, s);
      });
      converged = true;
      for (int b = 0; b < batch; ++b) converged = converged && samples_[at(b)].change_r < options.tol;
    }
    for (int b = 0; b < batch; ++b) std::copy_n(samples_[at(b)].r, R, r + b * R);
    return i;
  }

  /// The objective's value and gradients at given latents, as the iterations take them: for tests and methods.
  ///   r, r_p (batch, R), r2 (batch, Q), dr (batch, R), dr2 (batch, Q)
  double objective(const typename Net::Weights& w, const typename Net::Prepared& prepared, const TidhyOptions& options,
                   int batch, const Real* x, std::size_t x_stride, const Real* r_p, const Real* r, const Real* r2,
                   Real* dr, Real* dr2) {
    double value = 0;
    for (int b = 0; b < batch; ++b) {
      Sample& s = samples_[at(b)];
      s.x = x + at(b) * x_stride;
      Net::project(w, s.x, s.projected);
      Net::carry(w, r_p + b * R, s.u);
      std::copy_n(r + b * R, R, s.r), std::copy_n(r2 + b * Q, Q, s.r2);
      gradients(w, prepared, options, options.samples(batch), s, {});
      std::copy_n(s.g_r, R, dr + b * R), std::copy_n(s.g_r2, Q, dr2 + b * Q);
      value += value_of(w, prepared, options, options.samples(batch), s);
    }
    return value;
  }

 private:
  /// Everything of one sample, in one place: an iteration touches this and the weights.
  struct alignas(64) Sample {
    Real r[R], m_r[R], g_r[R], v_r[R], projected[R], r2[Q], m_r2[Q], g_r2[Q], u[M * R], mixture[outputs];
    Real spatial[R];  ///< gradient of the summed spatial loss
    const Real* x;
    double change_r, change_r2;          ///< relative, or the squares of difference and size
    double squares_r[2], squares_r2[2];  ///< of the difference, of what was there
    double spatial_loss, temporal_loss;  ///< for balanced updates
    double norms[3];                     ///< squares: of the gradients of the three losses
  };

  /// Factors of the losses, where they are balanced: spatial, and temporal twice, which one norm by r and one by r2
  /// measures.
  struct Balance {
    std::array<double, 3> weight{1, 1, 0};
    bool active = false;
  };

  static std::size_t at(int b) { return static_cast<std::size_t>(b); }

  /// Calls body(sample, b) for every sample of the batch, on one thread where `iterations` of each are not 2e5
  /// operations a thread, some 20 us: below that a dispatch takes longer.
  void for_samples(int batch, int iterations, const auto& body) {
    constexpr double decoder = Net::nonlinear ? Net::H * (R + Net::H + D) : Net::has_gram ? R * R / 2. : R * D;
    constexpr double of_iteration = 4. * (Net::H * (Q + outputs) + M * R + decoder);
    const int least = std::max(1, static_cast<int>(2e5 / (of_iteration * iterations)));
    const auto range = [=, this](int begin, int end) {
      for (int b = begin; b < end; ++b) body(samples_[at(b)], b);
    };
    for_ranges(exec_, batch, range, least);
  }

  static Real abs_slope(Real v) {
    return v > 0 ? Real(1) : v < 0 ? Real(-1) : static_cast<Real>(Config::abs_slope_at_zero);
  }

  /// Gradients of J at the sample's latents. With a balance there are no L1 terms, no temp_weight and no R2 decoder,
  /// and losses and squared norms of their weighted gradients are left, too.
  static void gradients(const typename Net::Weights& w, const typename Net::Prepared& prepared,
                        const TidhyOptions& options, int batch, Sample& s, const Balance& balance) {
    const Real share = 1 / static_cast<Real>(batch);
    const Real lambda = balance.active ? Real(1) : static_cast<Real>(options.temp_weight);
    typename Net::Hypernet::Saved saved;
    Real r_bar[R], e[R], dmixture[outputs];
    Net::mixture(w, prepared, s.r2, saved, s.mixture);
    Net::mix(w, s.mixture, s.u, r_bar);
    Net::spatial_gradient(w, prepared, s.r, s.x, s.projected, s.spatial);
    for (int i = 0; i < R; ++i) e[i] = 2 * lambda * share * (s.r[i] - r_bar[i]);

    const Real spatial_weight = share * static_cast<Real>(balance.weight[0]),
               temporal_weight = static_cast<Real>(balance.weight[1] + balance.weight[2]);
    for (int i = 0; i < R; ++i) s.g_r[i] = spatial_weight * s.spatial[i] + temporal_weight * e[i];
    Net::unmix(w, e, s.u, dmixture);
    const Real sparse = balance.active ? Real(0) : static_cast<Real>(options.L1_inf_w);
    for (int o = 0; o < outputs; ++o)
      dmixture[o] = s.mixture[o] > 0 ? -temporal_weight * dmixture[o] + (o < M ? sparse : Real(0)) : Real(0);
    Net::Hypernet::input_gradient(w.hypernet, prepared.hypernet, saved, dmixture, s.g_r2);
    if (balance.active) return measure(s, r_bar, e, batch, balance);

    if (options.L1_inf_r != 0)
      for (int i = 0; i < R; ++i) s.g_r[i] += static_cast<Real>(options.L1_inf_r) * abs_slope(s.r[i]);
    if (options.L1_inf_r2 != 0)
      for (int i = 0; i < Q; ++i) s.g_r2[i] += static_cast<Real>(options.L1_inf_r2) * abs_slope(s.r2[i]);
    if constexpr (Net::predicts_r2) add_r2_decoder(w, prepared, share, s);
  }

  /// <(r2 - E(r, r2))^2>
  static void add_r2_decoder(const typename Net::Weights& w, const typename Net::Prepared& prepared, Real share,
                             Sample& s) {
    using E = typename Net::R2Decoder;
    typename E::Saved saved;
    Real in[R + Q], difference[Q], through[R + Q];
    std::copy_n(s.r, R, in), std::copy_n(s.r2, Q, in + R);
    E::activate(w.r2_decoder, static_cast<Real>(Config::layer_norm_eps), in, saved);
    E::finish(prepared.r2_decoder, saved, difference);
    for (int i = 0; i < Q; ++i) difference[i] = 2 * share * (s.r2[i] - difference[i]);
    for (int i = 0; i < Q; ++i) s.g_r2[i] += difference[i];
    if constexpr (Config::through_r2_decoder) {
      E::input_gradient(w.r2_decoder, prepared.r2_decoder, saved, difference, through);
      for (int i = 0; i < R; ++i) s.g_r[i] -= through[i];
      for (int i = 0; i < Q; ++i) s.g_r2[i] -= through[R + i];
    }
  }

  static double value_of(const typename Net::Weights& w, [[maybe_unused]] const typename Net::Prepared& prepared,
                         const TidhyOptions& options, int batch, const Sample& s) {
    typename Net::Decoded decoded;
    Real r_bar[R];
    Net::decode(w, s.r, decoded);
    Net::mix(w, s.mixture, s.u, r_bar);
    double value = Net::spatial_loss(decoded.linear, s.x) / batch, l1 = 0;
    for (int i = 0; i < R; ++i) {
      const double e = static_cast<double>(s.r[i]) - static_cast<double>(r_bar[i]);
      value += options.temp_weight * e * e / batch;
      l1 += options.L1_inf_r * std::abs(static_cast<double>(s.r[i]));
    }
    for (int i = 0; i < Q; ++i) l1 += options.L1_inf_r2 * std::abs(static_cast<double>(s.r2[i]));
    for (int m = 0; m < M; ++m) l1 += options.L1_inf_w * static_cast<double>(s.mixture[m]);
    if constexpr (Net::predicts_r2) {
      using E = typename Net::R2Decoder;
      typename E::Saved saved;
      Real in[R + Q], predicted[Q];
      std::copy_n(s.r, R, in), std::copy_n(s.r2, Q, in + R);
      E::activate(w.r2_decoder, static_cast<Real>(Config::layer_norm_eps), in, saved);
      E::finish(prepared.r2_decoder, saved, predicted);
      for (int i = 0; i < Q; ++i) {
        const double d = static_cast<double>(s.r2[i]) - static_cast<double>(predicted[i]);
        value += d * d / batch;
      }
    }
    return value + l1;
  }

  /// A Nesterov step of N numbers with momentum 0.9, then the threshold. Leaves the squares of difference and size.
  template <int N>
  static void step(Real rate, Real threshold, const Real* g, Real* m, Real* v, double* squares) {
    Real difference[N], before[N];
    for (int i = 0; i < N; ++i) {
      before[i] = v[i];
      m[i] = Real(.9) * m[i] + g[i];
      v[i] -= rate * (g[i] + Real(.9) * m[i]);
    }
    if (threshold > 0)
      for (int i = 0; i < N; ++i) {
        const Real size = std::fmax(std::abs(v[i]) - threshold, Real(0));
        v[i] = v[i] > 0 ? size : v[i] < 0 ? -size : Real(0);
      }
    for (int i = 0; i < N; ++i) difference[i] = v[i] - before[i];
    squares[0] = static_cast<double>(ops::dot<N>(difference, difference));
    squares[1] = static_cast<double>(ops::dot<N>(before, before));
  }
  static double relative(const double* squares) { return std::sqrt(squares[0]) / (std::sqrt(squares[1]) + 1e-16); }

  /// The rate of r in iteration i; without a whole tenth of max_iter it stays.
  static Real rate(const TidhyOptions& options, int i) {
    const int tenth = options.max_iter / 10;
    const double halvings = Config::halve_rate && tenth > 0 ? i / tenth : 0;
    return static_cast<Real>(options.lr_r * std::exp2(-halvings));
  }

  static void move(const TidhyOptions& options, int i, Sample& s) {
    step<R>(rate(options, i), static_cast<Real>(options.lmda_r), s.g_r, s.m_r, s.r, s.squares_r);
    step<Q>(static_cast<Real>(options.lr_r2), static_cast<Real>(options.lmda_r2), s.g_r2, s.m_r2, s.r2, s.squares_r2);
  }

  /// Whether all samples, or the batch as a whole, moved little enough.
  bool converged(const TidhyOptions& options, int batch) const {
    if (!(options.tol > 0)) return false;
    double all_r[2] = {}, all_r2[2] = {};
    bool every = true;
    for (int b = 0; b < batch; ++b) {
      const Sample& s = samples_[at(b)];
      for (int k = 0; k < 2; ++k) all_r[k] += s.squares_r[k], all_r2[k] += s.squares_r2[k];
      every = every && relative(s.squares_r) < options.tol && relative(s.squares_r2) < options.tol;
    }
    return options.batch_converge ? relative(all_r) < options.tol && relative(all_r2) < options.tol : every;
  }

  int plain_updates(const typename Net::Weights& w, const typename Net::Prepared& prepared, const TidhyOptions& options,
                    int batch) {
    const int together = options.tol > 0 ? 1 : options.max_iter;  // iterations between two tests
    for (int i = 0; i < options.max_iter; i += together) {
      for_samples(batch, together, [=, &w, &prepared, &options](Sample& s, int) {
        for (int k = i; k < i + together; ++k) {
          gradients(w, prepared, options, options.samples(batch), s, {});
          move(options, k, s);
        }
      });
      if (converged(options, batch)) return i + 1;
    }
    return options.max_iter;
  }

  // --- Gradient-normalised inference (first order) ---

  /// e: the gradient of the temporal loss by r
  static void measure(Sample& s, const Real* r_bar, const Real* e, int batch, const Balance& balance) {
    s.temporal_loss = 0;
    for (int i = 0; i < R; ++i) {
      const double d = static_cast<double>(s.r[i]) - static_cast<double>(r_bar[i]);
      s.temporal_loss += d * d / batch;
    }
    const auto square = [](double x) { return x * x; };
    const double both = balance.weight[1] + balance.weight[2];
    s.norms[0] = square(balance.weight[0] / batch) * static_cast<double>(ops::dot<R>(s.spatial, s.spatial));
    s.norms[1] = square(balance.weight[1]) * static_cast<double>(ops::dot<R>(e, e));
    s.norms[2] = square(balance.weight[2] / both) * static_cast<double>(ops::dot<Q>(s.g_r2, s.g_r2));
  }

  int balanced_updates(const typename Net::Weights& w, const typename Net::Prepared& prepared,
                       const TidhyOptions& options, int batch) {
    Balance balance{.weight = {1, 1, 1}, .active = true};
    std::array<double, 3> first{};
    for (int i = 0; i < options.max_iter; ++i) {
      for_samples(batch, 1, [=, &w, &prepared, &options, &balance](Sample& s, int) {
        gradients(w, prepared, options, options.samples(batch), s, balance);
        typename Net::Decoded decoded;
        Net::decode(w, s.r, decoded);
        s.spatial_loss = Net::spatial_loss(decoded.linear, s.x) / options.samples(batch);
      });
      std::array<double, 3> losses{}, norms{};
      for (int b = 0; b < batch; ++b) {
        const Sample& s = samples_[at(b)];
        losses[0] += s.spatial_loss, losses[1] += s.temporal_loss;
        for (std::size_t k = 0; k < 3; ++k) norms[k] += s.norms[k];
      }
      losses[2] = losses[1];
      for (double& norm : norms) norm = std::sqrt(norm);
      if (i == 0)
        for (std::size_t k = 0; k < 3; ++k) first[k] = losses[k] == 0 ? 1e-6 : losses[k];
      for (int b = 0; b < batch; ++b) move(options, i, samples_[at(b)]);
      rebalance(options, losses, first, norms, balance.weight);
      if (converged(options, batch)) return i + 1;
    }
    return options.max_iter;
  }

  /// One AdamW step from fresh moments on the weights, towards equal rates of training, then 3 softmax.
  static void rebalance(const TidhyOptions& options, const std::array<double, 3>& losses,
                        const std::array<double, 3>& first, const std::array<double, 3>& norms,
                        std::array<double, 3>& weight) {
    constexpr double decay = 1e-2, tie = std::is_same_v<Real, float> ? 1e-5 : 1e-12;
    const double mean_norm = (norms[0] + norms[1] + norms[2]) / 3;
    std::array<double, 3> ratio;
    for (std::size_t k = 0; k < 3; ++k) ratio[k] = losses[k] / first[k];
    const double mean_ratio = (ratio[0] + ratio[1] + ratio[2]) / 3;
    double sum = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      const double target = mean_norm * std::pow(ratio[k] / mean_ratio, options.grad_alpha_inf);
      const double distance = norms[k] - target;
      const double sign = norms[k] == 0 ? 0 : std::abs(distance) <= tie * norms[k] ? 1 : distance > 0 ? 1 : -1;
      const double g = sign * norms[k] / weight[k];
      weight[k] *= 1 - options.lr_weights_inf * decay;
      weight[k] -= options.lr_weights_inf * g / (std::abs(g) + 1e-8);
      sum += std::exp(weight[k]);
    }
    for (double& one : weight) one = 3 * std::exp(one) / sum;
  }

  // --- The first frame ---

  static void adamw_update(const typename Net::Weights& w, const typename Net::Prepared& prepared,
                           const TidhyOptions& options, int batch, int i, Sample& s) {
    Net::spatial_gradient(w, prepared, s.r, s.x, s.projected, s.g_r);
    const Real share = 1 / static_cast<Real>(batch), rate = static_cast<Real>(options.lr_r);
    const Real m_scale = static_cast<Real>(1 / (1 - std::pow(.9, i + 1))),
               v_scale = static_cast<Real>(1 / (1 - std::pow(.999, i + 1)));
    const Real kept = static_cast<Real>(1 - options.lr_r * Config::first_step_decay);
    double difference = 0, size = 0;
    for (int k = 0; k < R; ++k) {
      const Real before = s.r[k], g = share * s.g_r[k];
      s.m_r[k] = Real(.9) * s.m_r[k] + Real(.1) * g;
      s.v_r[k] = Real(.999) * s.v_r[k] + Real(.001) * g * g;
      s.r[k] = kept * before - rate * (m_scale * s.m_r[k]) / (std::sqrt(v_scale * s.v_r[k]) + Real(1e-8));
      const double d = static_cast<double>(s.r[k] - before);
      difference += d * d, size += static_cast<double>(before) * static_cast<double>(before);
    }
    s.change_r = std::sqrt(difference) / (std::sqrt(size) + 1e-16);
  }

  Exec exec_;
  std::vector<Sample> samples_;
};

}  // namespace fieldstep::models
