#pragma once
#include <fieldstep/core/random.hpp>
#include <fieldstep/models/tidhy_record.hpp>
#include <fieldstep/models/tidhy_regularisation.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>
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
  bool carry_state = false;  ///< a batch goes on with the latents that the last one ended with
  double r2_init_std = 0;    ///< r2 starts at normal draws of this deviation: a way out of a dead start
  Key r2_init_key{};
};

/// TiDHy as the objective of a training (train::Objective): minibatch i are `batch` consecutive sequences of the data,
/// in order and from the front again when an epoch is over; what does not fill a batch is left out.
///   X: (sequences, time, D), somebody else's memory
/// Source: train_step, train_epoch of the NNX port; train() of TiDHy_torch.py.
template <class Net, class Exec = Kokkos::DefaultHostExecutionSpace>
class TidhyObjective {
 public:
  using Real = typename Net::Real;
  static constexpr std::size_t tasks = 3 + Net::predicts_r2;

  TidhyObjective(int sequences, int time, const Real* X, int batch, const TidhyTrainingOptions& options,
                 const Exec& exec = {})
      : X_(X),
        time_(time),
        batch_(batch),
        options_(options),
        training_(batch, time, exec),
        weights_(Net::arena_size),
        gradient_(Net::arena_size),
        of_task_(options.grad_norm ? Net::arena_size : 0),
        r_state_(static_cast<std::size_t>(batch) * Net::R, 0),
        r2_state_(static_cast<std::size_t>(batch) * Net::Q, 0) {
    if (batch < 1 || batch > sequences)
      fail_usage("TidhyObjective: found batches of ", batch, " in ", sequences, " sequences, wanted 1 to ", sequences);
    per_epoch_ = sequences / batch;
    if constexpr (Net::Config::loss_type == TidhyLoss::poisson)
      for (std::size_t i = 0; i < static_cast<std::size_t>(sequences) * static_cast<std::size_t>(time) * Net::D; ++i)
        if (!(X[i] >= 0)) fail_usage("TidhyObjective: found a count of ", X[i], ", wanted none below 0 for Poisson");
    std::fill_n(weights_.data(), weights_.size(), Real(0));
    clear_gradient();
    balance_.fill(1);
    for (std::size_t i = 0; options.r2_init_std > 0 && i < r2_state_.size(); ++i)
      r2_state_[i] = static_cast<Real>(options.r2_init_std *
                                       static_cast<double>(random_normal(random_bits(options.r2_init_key, i, 0))));
    r2_start_ = r2_state_;
  }

  static ParamTable table() { return Net::table(); }
  Real* weights() { return weights_.data(); }
  Real* gradient() { return gradient_.data(); }
  void clear_gradient() { std::fill_n(gradient_.data(), gradient_.size(), Real(0)); }
  long per_epoch() const { return per_epoch_; }
  TidhyTraining<Net, Exec>& training() { return training_; }
  typename Net::Weights bound() const { return bind<typename Net::Weights>(static_cast<const Real*>(weights_.data())); }

  /// After an update also the projections that were asked for.
  void weights_changed() {
    if (updated_) {
      const auto w = bind<typename Net::Gradient>(weights_.data());
      for (int i = 0; options_.regularisation.L0_alpha > 0 && i < Net::M * Net::matrix; ++i)
        if (Real& v = w.temporal.data_handle()[i]; std::abs(v) < Real(1e-4)) v = 0;
      normalize<Net>(w, options_.normalisation);
    }
    updated_ = false;
    training_.prepare(bound());
  }

  /// The loss of minibatch i, regularisation and weights of the tasks included; its gradient is added.
  double add_gradient(long i) {
    const Real* X = X_ + static_cast<std::size_t>(i % per_epoch_ * batch_) * static_cast<std::size_t>(time_) * Net::D;
    const bool carried = options_.carry_state;
    training_.infer(options_.inference, batch_, time_, X, carried ? r_state_.data() : nullptr,
                    carried ? r2_state_.data() : r2_start_.data());
    std::copy_n(training_.r(time_ - 1), r_state_.size(), r_state_.data());
    std::copy_n(training_.r2(time_ - 1), r2_state_.size(), r2_state_.data());
    updated_ = true;
    return options_.grad_norm ? add_balanced() : add_plain();
  }

  /// Of the last minibatch, and what the record of a training calls them.
  const TidhyLosses& losses() const { return losses_; }
  const std::vector<Real>& r_state() const { return r_state_; }    ///< (batch, R): the latents that it ended with
  const std::vector<Real>& r2_state() const { return r2_state_; }  ///< (batch, Q)
  const std::array<double, tasks>& balance() const { return balance_; }

  /// Losses of other data without a gradient (evaluate_batch); the state stays.
  TidhyLosses evaluate(int batch, int time, const Real* X) {
    training_.infer(options_.inference, batch, time, X);
    return training_.losses();
  }

  /// What a checkpoint must hold beside weights and optimizer.
  void visit(const auto& show) {
    for (std::size_t k = 0; k < tasks; ++k) {
      show("balance/" + std::to_string(k), balance_[k]);
      show("first_loss/" + std::to_string(k), first_[k]);
    }
  }

 private:
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

  const Real* X_;
  int time_, batch_;
  long per_epoch_ = 1;
  TidhyTrainingOptions options_;
  TidhyTraining<Net, Exec> training_;
  Arena<Real> weights_, gradient_, of_task_;
  std::vector<Real> r_state_, r2_state_, r2_start_;
  TidhyLosses losses_;
  std::array<double, tasks> balance_{}, first_{-1};
  bool updated_ = false;
};

}  // namespace fieldstep::models
