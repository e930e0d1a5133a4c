#pragma once
#include <fieldstep/models/tidhy_record.hpp>
#include <fieldstep/models/tidhy_regularisation.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldstep::models {

/// What a training of TiDHy is told beside the inference's options.
struct TidhyTrainingOptions {
  TidhyOptions inference{};
  TidhyLosses loss_weights{1, 1, 1, 1};
  TidhyRegularisation regularisation{};
  TidhyNormalisation normalisation{};  ///< after every update
  bool grad_norm = false;              ///< tasks are balanced by the norms of their gradients (GradNorm, first order)
  double grad_alpha = 1.5, lr_weights = .025, weight_decay = 0;  ///< of the balancing
  bool carry_state = false;  ///< a minibatch goes on with the latents that the last one ended with
};

/// The sequences that minibatch i = 0, 1, ... of a run consists of, valid until it is called again.
using TidhyOrder = std::function<std::span<const std::int32_t>(long i)>;

/// `batch` consecutive sequences each, in storage order and from the front again when an epoch is over; what does not
/// fill a minibatch is left out. Minibatch `first` of the run is the first of an epoch.
/// Source: train_epoch of the NNX port.
inline TidhyOrder in_storage_order(int sequences, int batch, long first = 0) {
  if (batch < 1 || batch > sequences)
    fail_usage("TiDHy: found batches of ", batch, " in ", sequences, " sequences, wanted 1 to ", sequences);
  std::vector<std::int32_t> all(static_cast<std::size_t>(sequences / batch * batch));
  std::iota(all.begin(), all.end(), 0);
  return [all = std::move(all), batch = static_cast<std::size_t>(batch), first](long i) {
    const std::size_t of_epoch = static_cast<std::size_t>(i - first) % (all.size() / batch);
    return std::span(all).subspan(of_epoch * batch, batch);
  };
}

/// Refuses what no loss is made for: NaN, infinity, negative counts.
template <class Net>
void check_observations(std::size_t count, const typename Net::Real* X) {
  for (std::size_t i = 0; i < count; ++i) {
    if (Net::Config::loss_type == TidhyLoss::poisson && !(X[i] >= 0))
      fail_usage("TiDHy: found a count of ", X[i], ", wanted none below 0 for Poisson");
    if (!std::isfinite(X[i])) fail_usage("TiDHy: found an observation of ", X[i], ", wanted a finite one");
  }
}

/// TiDHy as the objective of a training (train::Objective).
///   X: (sequences, time, D), somebody else's memory
/// Source: train_step of the NNX port; train() of TiDHy_torch.py.
template <class Net, class Exec = Kokkos::DefaultHostExecutionSpace>
class TidhyObjective {
 public:
  using Network = Net;
  using Real = typename Net::Real;
  static constexpr std::size_t tasks = 3 + Net::predicts_r2;

  /// largest_batch: sequences of a minibatch at most
  TidhyObjective(int sequences, int time, const Real* X, TidhyOrder order, int largest_batch,
                 const TidhyTrainingOptions& options, const Exec& exec = {})
      : exec_(exec),
        time_(time),
        options_(options),
        training_(largest_batch, time, exec),
        weights_(Net::arena_size),
        gradient_(Net::arena_size),
        of_task_(options.grad_norm ? Net::arena_size : 0),
        gathered_(static_cast<std::size_t>(largest_batch) * frames()),
        r_state_(static_cast<std::size_t>(largest_batch) * Net::R, 0),
        r2_state_(static_cast<std::size_t>(largest_batch) * Net::Q, 0) {
    read(sequences, X, std::move(order));
    std::fill_n(weights_.data(), weights_.size(), Real(0));
    std::fill_n(gradient_.data(), gradient_.size(), Real(0));
    balance_.fill(1);
    start_r2(options.inference, r2_state_.size(), r2_state_.data());
  }
  TidhyObjective(int sequences, int time, const Real* X, int batch, const TidhyTrainingOptions& options,
                 const Exec& exec = {})
      : TidhyObjective(sequences, time, X, in_storage_order(sequences, batch), batch, options, exec) {}

  /// Other sequences to learn from, of the same length.
  void read(int sequences, const Real* X, TidhyOrder order) {
    check_observations<Net>(static_cast<std::size_t>(sequences) * frames(), X);
    X_ = X, order_ = std::move(order);
  }

  void read(int sequences, const Real* X, int batch, long first = 0) {
    if (batch > largest_batch())
      fail_usage("TidhyObjective: found batches of ", batch, " sequences, wanted at most ", largest_batch());
    read(sequences, X, in_storage_order(sequences, batch, first));
  }

  static ParamTable table() { return Net::table(); }
  static std::string text() { return tidhy_text<typename Net::Config>(); }
  Real* weights() { return weights_.data(); }
  Real* gradient() { return gradient_.data(); }
  /// Before an update, also where other processes make its gradient.
  void clear_gradient() {
    std::fill_n(gradient_.data(), gradient_.size(), Real(0));
    updated_ = true;
  }
  int largest_batch() const { return training_.largest_batch(); }
  int time() const { return time_; }
  const TidhyTrainingOptions& options() const { return options_; }
  TidhyTraining<Net, Exec>& training() { return training_; }
  typename Net::Weights bound() const { return bind<typename Net::Weights>(static_cast<const Real*>(weights_.data())); }

  /// After an update also the projections that were asked for.
  void weights_changed() {
    if (updated_) {
      const auto w = bind<typename Net::Gradient>(weights_.data());
      for (int i = 0; options_.regularisation.L0_alpha > 0 && i < Net::M * Net::matrix; ++i)
        if (Real& v = w.temporal.data_handle()[i]; std::abs(v) < Real(1e-4)) v = 0;
      models::normalize<Net>(w, options_.normalisation);
    }
    updated_ = false;
    training_.prepare(bound());
  }

  /// The loss of minibatch i, regularisation and weights of the tasks included; its gradient is added.
  double add_gradient(long i) {
    const std::span<const std::int32_t> samples = order_(i);
    for (std::size_t s = 0; s < samples.size(); ++s)
      std::copy_n(X_ + static_cast<std::size_t>(samples[s]) * frames(), frames(), gathered_.data() + s * frames());
    const bool carried = options_.carry_state;
    training_.infer(options_.inference, static_cast<int>(samples.size()), time_, gathered_.data(),
                    carried ? r_state_.data() : nullptr, carried ? r2_state_.data() : nullptr);
    std::copy_n(training_.r(time_ - 1), samples.size() * Net::R, r_state_.data());
    std::copy_n(training_.r2(time_ - 1), samples.size() * Net::Q, r2_state_.data());
    return options_.grad_norm ? add_balanced() : add_plain();
  }

  /// Of the last minibatch, and what the record of a training calls them.
  const TidhyLosses& losses() const { return losses_; }
  const std::vector<Real>& r_state() const { return r_state_; }    ///< (batch, R): the latents that it ended with
  const std::vector<Real>& r2_state() const { return r2_state_; }  ///< (batch, Q)
  const std::array<double, tasks>& balance() const { return balance_; }

  /// Losses of other data (batch, time, D) without a gradient; the state stays. More or longer sequences than those of
  /// a minibatch get memory of their own, which is kept.
  /// Source: evaluate_batch of the NNX port.
  TidhyLosses evaluate(int batch, int time, const Real* X) {
    check_observations<Net>(static_cast<std::size_t>(batch) * static_cast<std::size_t>(time) * Net::D, X);
    TidhyTraining<Net, Exec>& training = fitting(batch, time);
    training.infer(options_.inference, batch, time, X);
    return training.losses();
  }
  /// The same with everything that is inferred; progress(t) is called after frame t.
  TidhyRecord<Real> evaluate_record(int batch, int time, const Real* X, const auto& progress) {
    check_observations<Net>(static_cast<std::size_t>(batch) * static_cast<std::size_t>(time) * Net::D, X);
    return models::evaluate_record(fitting(batch, time), bound(), options_.inference, batch, time, X, progress);
  }

  /// What a checkpoint must hold beside weights and optimizer.
  void visit(const auto& show) {
    for (std::size_t k = 0; k < tasks; ++k) {
      show("balance/" + std::to_string(k), balance_[k]);
      show("first_loss/" + std::to_string(k), first_[k]);
    }
    show("state/r", r_state_), show("state/r2", r2_state_);
  }

 private:
  std::size_t frames() const { return static_cast<std::size_t>(time_) * Net::D; }

  /// Memory for such data, with the weights as they are.
  TidhyTraining<Net, Exec>& fitting(int batch, int time) {
    if (batch <= largest_batch() && time <= time_) return training_;
    if (!larger_ || batch > larger_->largest_batch() || time > larger_->longest())
      larger_ = std::make_unique<TidhyTraining<Net, Exec>>(batch, time, exec_);
    larger_->prepare(bound());
    return *larger_;
  }

  double add_plain() {
    const auto dw = bind<typename Net::Gradient>(gradient_.data());
    const TidhyLosses& weight = options_.loss_weights;
    losses_ = training_.add_gradient(weight, gradient_.data());
    double loss = weight.spatial_rhat * losses_.spatial_rhat + weight.spatial_rbar * losses_.spatial_rbar +
                  weight.temp * losses_.temp + weight.r2 * losses_.r2;
    loss += temporal_regularisation<Net>(bound(), options_.regularisation, 1, &dw);
    return loss + shared_regularisation<Net>(bound(), options_.regularisation, 1, &dw);
  }

  /// Source: Chen et al. 2018, arXiv:1711.02257, as train() of TiDHy_torch.py has it; first order: nothing of the
  /// balancing reaches the parameters' gradient.
  double add_balanced() {
    std::array<double, tasks> loss{}, norm{};
    double total = 0;
    for (std::size_t k = 0; k < tasks; ++k) {
      std::fill_n(of_task_.data(), of_task_.size(), Real(0));
      const auto dw = bind<typename Net::Gradient>(of_task_.data());
      const double w = balance_[k];
      const TidhyLosses one_hot{k == 0 ? w : 0, k == 1 ? w : 0, k == 2 ? w : 0, k == 3 ? w : 0};
      losses_ = training_.add_gradient(one_hot, of_task_.data());
      loss[k] = k == 0 ? losses_.spatial_rhat : k == 1 ? losses_.spatial_rbar : k == 2 ? losses_.temp : losses_.r2;
      if (k == 2) loss[k] += temporal_regularisation<Net>(bound(), options_.regularisation, w, &dw);
      loss[k] += shared_regularisation<Net>(bound(), options_.regularisation, w, &dw);
      norm[k] = norm_of_task(k);
      total += w * loss[k];
      for (std::size_t i = 0; i < gradient_.size(); ++i) gradient_.data()[i] += of_task_.data()[i];
    }
    rebalance(loss, norm);
    return total;
  }

  /// The sum of the norms of the tensors that the task is measured by.
  double norm_of_task(std::size_t task) const {
    double sum = 0;
    for (const ParamEntry& entry : table()) {
      const std::string_view path = entry.path;
      const bool decoder = path.starts_with("spatial_decoder"), dynamics = path.starts_with("temporal"),
                 hypernet = path.starts_with("hypernet");
      if (!(task == 0 ? decoder : task == 1 ? decoder || dynamics : task == 2 ? dynamics || hypernet : hypernet))
        continue;
      double squares = 0;
      for (std::size_t i = entry.offset; i < entry.offset + entry.size; ++i)
        squares += static_cast<double>(of_task_.data()[i]) * static_cast<double>(of_task_.data()[i]);
      sum += std::sqrt(squares);
    }
    return sum;
  }

  /// One AdamW step from fresh moments on the weights of the tasks, then their sum times softmax.
  void rebalance(const std::array<double, tasks>& loss, const std::array<double, tasks>& norm) {
    if (!(first_[0] >= 0)) first_ = loss;
    double mean_norm = 0, mean_ratio = 0, before = 0, sum = 0;
    for (std::size_t k = 0; k < tasks; ++k) {
      mean_norm += norm[k] / tasks, mean_ratio += loss[k] / first_[k] / tasks;
      before += balance_[k];
    }
    for (std::size_t k = 0; k < tasks; ++k) {
      const double target = mean_norm * std::pow(loss[k] / first_[k] / mean_ratio, options_.grad_alpha);
      const double sign = norm[k] > target ? 1 : norm[k] < target ? -1 : 0, g = sign * norm[k] / balance_[k];
      balance_[k] *= 1 - options_.lr_weights * options_.weight_decay;
      balance_[k] -= options_.lr_weights * g / (std::abs(g) + 1e-8);
      sum += std::exp(balance_[k]);
    }
    for (double& w : balance_) w = before * std::exp(w) / sum;
  }

  Exec exec_;
  const Real* X_ = nullptr;
  TidhyOrder order_;
  int time_;
  TidhyTrainingOptions options_;
  TidhyTraining<Net, Exec> training_;
  std::unique_ptr<TidhyTraining<Net, Exec>> larger_{};  // for other data
  Arena<Real> weights_, gradient_, of_task_, gathered_;
  std::vector<Real> r_state_, r2_state_;
  TidhyLosses losses_;
  std::array<double, tasks> balance_{}, first_{-1};
  bool updated_ = false;  ///< or about to be
};

}  // namespace fieldstep::models
