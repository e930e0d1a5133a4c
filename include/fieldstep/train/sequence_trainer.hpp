#pragma once
#include <fieldstep/train/checkpoint.hpp>
#include <fieldstep/train/trainer.hpp>

#include <algorithm>
#include <concepts>
#include <filesystem>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace fieldstep::train {

/// Means over the minibatches of an epoch, with the weights before their updates.
struct SequenceMetrics {
  double loss = 0;  ///< with weights of the terms and regularisation
  double spatial_loss_rhat = 0, spatial_loss_rbar = 0, temp_loss = 0, r2_losses = 0;
};

/// The same, a number an epoch.
struct SequenceHistory {
  std::vector<double> loss, spatial_loss_rhat, spatial_loss_rbar, temp_loss, r2_losses;
  std::vector<double> val_loss;  ///< with validation data only
};

/// Sequences (count, time, channels) in somebody else's memory.
template <class Real>
struct Sequences {
  int count = 0, time = 0;
  const Real* data = nullptr;
};

/// An objective that learns from sequences, such as models::TidhyObjective.
template <class G>
concept SequenceObjective = Objective<G> &&
    requires(G& goal, int n, const std::remove_pointer_t<decltype(goal.weights())>* X, long first) {
  goal.read(n, X, n, first);
  { goal.losses().total() } -> std::convertible_to<double>;
  { goal.evaluate(n, n, X).total() } -> std::convertible_to<double>;
  { goal.time() } -> std::same_as<int>;
  { goal.text() } -> std::convertible_to<std::string>;
};

/// A training of TiDHy by the names of its NNX port: steps, epochs, whole runs, and files. Minibatches are consecutive
/// sequences in storage order; any other order, accumulation over several processes and what else Trainer can do are
/// Trainer's own.
///   models::TidhyObjective<Net> goal(count, time, X, batch, options);
///   train::SequenceTrainer trainer(goal, train::AdamW<>{}, train::ParameterGroups(Net::table()));
///   const auto history = trainer.train_model({count, time, X}, 100, {.batch_size = batch});
/// create_optimizer(lr, weight_decay, schedule) of the port is AdamW<>{lr}, with the defaults of both.
/// Source: TiDHy's train_step, train_epoch, train_model, evaluate_batch, save_model, checkpoint_model and their
/// readers.
template <SequenceObjective Goal, class Optimizer_, class Exec = Kokkos::DefaultHostExecutionSpace>
class SequenceTrainer {
 public:
  using Real = std::remove_cvref_t<decltype(*std::declval<Goal&>().weights())>;
  using Data = Sequences<Real>;

  struct ModelOptions {
    std::optional<int> batch_size{};  ///< left out: one minibatch of all sequences
    Data val_data{};
  };

  SequenceTrainer(Goal& goal, const Optimizer_& optimizer, const ParameterGroups& groups,
                  const TrainerOptions& options = {}, const Exec& exec = {})
      : goal_(goal), optimizer_(optimizer), groups_(groups), trainer_(goal_, optimizer_, groups_, options, exec) {}
  SequenceTrainer(const SequenceTrainer&) = delete;
  SequenceTrainer& operator=(const SequenceTrainer&) = delete;

  long step() const { return trainer_.step(); }  ///< updates made
  long epoch() const { return epoch_; }          ///< epochs of train_model and train_epoch

  /// One update from all sequences.
  SequenceMetrics train_step(const Data& X) { return updates(X, X.count); }

  /// An update for every whole minibatch; what is left over is not used.
  template <Callback... Callbacks>
  SequenceMetrics train_epoch(const Data& X, std::optional<int> batch_size = {}, Callbacks&... callbacks) {
    const SequenceMetrics metrics = updates(X, batch_size.value_or(X.count), callbacks...);
    ++epoch_;
    return metrics;
  }

  /// Until n_epochs are made in all, so that one that was loaded goes on. Callbacks see every update.
  template <Callback... Callbacks>
  SequenceHistory train_model(const Data& X, long n_epochs, const ModelOptions& options = {}, Callbacks&... callbacks) {
    SequenceHistory history;
    while (epoch_ < n_epochs) {
      const SequenceMetrics metrics = train_epoch(X, options.batch_size, callbacks...);
      history.loss.push_back(metrics.loss);
      history.spatial_loss_rhat.push_back(metrics.spatial_loss_rhat);
      history.spatial_loss_rbar.push_back(metrics.spatial_loss_rbar);
      history.temp_loss.push_back(metrics.temp_loss), history.r2_losses.push_back(metrics.r2_losses);
      if (options.val_data.count > 0) history.val_loss.push_back(evaluate_batch(options.val_data).loss);
    }
    return history;
  }

  /// Losses with the weights as they are; no state is written.
  SequenceMetrics evaluate_batch(const Data& X) {
    goal_.weights_changed();
    return metrics_of(goal_.evaluate(X.count, X.time, X.data));
  }

  /// Weights and, of a stateful goal, its latents, as safetensors.
  void save_model(const std::filesystem::path& path) { save_checkpoint(path, state_of_model(), description()); }
  void load_model(const std::filesystem::path& path) {
    train::load_checkpoint(path, state_of_model(), description());
    goal_.weights_changed();
  }
  /// The same with the optimizer's moments, updates and epochs: a run that goes on has the same bits.
  void checkpoint_model(const std::filesystem::path& path) { save_checkpoint(path, state_of_run(), description()); }
  /// Returns the epochs that were made. A file of another configuration is refused and nothing is changed.
  long load_checkpoint(const std::filesystem::path& path) {
    train::load_checkpoint(path, state_of_run(), description());
    goal_.weights_changed();
    return epoch_;
  }

 private:
  template <Callback... Callbacks>
  SequenceMetrics updates(const Data& X, int batch, Callbacks&... callbacks) {
    if (X.time != goal_.time())
      fail_usage("SequenceTrainer: found sequences of ", X.time, " frames, wanted ", goal_.time());
    goal_.read(X.count, X.data, batch, trainer_.step() * trainer_.accumulated());
    const long steps = std::max(1L, X.count / batch / long{trainer_.accumulated()});
    Mean mean{goal_, {}, 1 / static_cast<double>(steps)};
    trainer_.run(trainer_.step() + steps, mean, callbacks...);
    return mean.metrics;
  }

  struct Mean {
    Goal& goal;
    SequenceMetrics metrics;
    double share;

    bool on_step(const Update& update) {
      const SequenceMetrics one = metrics_of(goal.losses());
      metrics.loss += share * update.loss;
      metrics.spatial_loss_rhat += share * one.spatial_loss_rhat;
      metrics.spatial_loss_rbar += share * one.spatial_loss_rbar;
      metrics.temp_loss += share * one.temp_loss, metrics.r2_losses += share * one.r2_losses;
      return false;
    }
  };
  static SequenceMetrics metrics_of(const auto& losses) {
    return {losses.total(), losses.spatial_rhat, losses.spatial_rbar, losses.temp, losses.r2};
  }

  TrainingState<Real> state_of_model() {
    TrainingState<Real> state(goal_.table(), goal_.weights());
    state.add(goal_);
    return state;
  }
  TrainingState<Real> state_of_run() {
    TrainingState<Real> state = state_of_model();
    state.add(trainer_), state.add(*this);
    return state;
  }
  Description description() const { return {{"fieldstep.training.network", goal_.text()}}; }

  Goal& goal_;
  Optimizer_ optimizer_;
  ParameterGroups groups_;
  Trainer<Goal, Optimizer_, Exec> trainer_;
  long epoch_ = 0;

  template <class>
  friend class TrainingState;
  void visit(const auto& show) { show("epoch", epoch_); }
};

}  // namespace fieldstep::train
