#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/clip.hpp>
#include <fieldstep/train/concepts.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

namespace fieldstep::train {

/// What a run minimises. add_gradient(i) computes on minibatch i of the run: it returns the loss and adds its gradient
/// by the weights to gradient().
template <class O>
concept Objective = requires(O& objective, long i) {
  { objective.add_gradient(i) } -> std::same_as<double>;
  { objective.weights() } -> std::same_as<std::remove_cvref_t<decltype(*objective.gradient())>*>;
  objective.clear_gradient();
  objective.weights_changed();
};

/// One update, as callbacks see it.
struct Update {
  long step;             ///< updates made, this one included
  double loss;           ///< of its minibatches, on average, with the weights before it
  double gradient_norm;  ///< of that mean, before clipping
};

/// Called after every update; true ends the run. A callback may also have before_step(long i, Goal& goal), which is
/// called before update i = 0, 1, ... with the weights that its loss is computed with; it may overwrite the gradient.
template <class C>
concept Callback = requires(C& callback, const Update& update) {
  { callback.on_step(update) } -> std::same_as<bool>;
};

struct TrainerOptions {
  int accumulate = 1;                                         ///< minibatches an update
  double max_norm = std::numeric_limits<double>::infinity();  ///< of the gradient; where it is longer it is clipped
};

/// The loop: gradients of `accumulate` minibatches, clipped together by their norm as torch does it (ClipGradNorm),
/// make an update. Where loss or gradient are not finite it throws before the weights move.
template <Objective Goal, class Optimizer_, class Exec = Kokkos::DefaultHostExecutionSpace>
class Trainer {
 public:
  using Real = std::remove_cvref_t<decltype(*std::declval<Goal&>().gradient())>;
  static_assert(Optimizer<Optimizer_, Real, Exec>, "Trainer: the second argument must be an Optimizer");

  Trainer(Goal& goal, const Optimizer_& optimizer, const ParameterGroups& groups, const TrainerOptions& options,
          const Exec& exec = {})
      : goal_(goal),
        optimizer_(optimizer),
        groups_(groups),
        options_(options),
        exec_(exec),
        state_(optimizer.template make_state<Real>(groups)),
        partial_(std::max<std::size_t>(groups.runs().size(), 1)) {}

  long step() const { return step_; }                      ///< updates made
  int accumulated() const { return options_.accumulate; }  ///< minibatches an update

  /// Until `steps` updates are made in all, or a callback ends it; callbacks are called in their order.
  template <Callback... Callbacks>
  void run(long steps, Callbacks&... callbacks) {
    goal_.weights_changed();  // since the goal was made somebody may have loaded them
    for (bool stop = false; !stop && step_ < steps;) {
      (prepare(callbacks), ...);
      [[maybe_unused]] const Update update = make_update();  // where nobody calls back
      ((stop = callbacks.on_step(update) || stop), ...);
    }
  }

  /// What a checkpoint must hold beside the weights.
  void visit(const auto& show) {
    show("step", step_);
    state_.visit([&](std::string_view name, auto& value) { show("optimizer/" + std::string(name), value); });
  }

 private:
  template <class Callback_>
  void prepare(Callback_& callback) {
    if constexpr (requires { callback.before_step(step_, goal_); }) callback.before_step(step_, goal_);
  }

  Update make_update() {
    goal_.clear_gradient();
    double loss = 0;
    for (int k = 0; k < options_.accumulate; ++k) {
      const long i = step_ * options_.accumulate + k;
      const double of_minibatch = goal_.add_gradient(i);
      if (!std::isfinite(of_minibatch))
        fail("training: the loss is ", of_minibatch, " in step ", step_ + 1, ", minibatch ", i, " of the run");
      loss += of_minibatch / options_.accumulate;
    }
    const double share = 1. / options_.accumulate;
    const double norm = share * global_norm(exec_, groups_, goal_.gradient(), partial_.data());
    if (!std::isfinite(norm)) fail("training: the gradient's norm is ", norm, " in step ", step_ + 1);
    const double factor = share * std::min(1., options_.max_norm / (norm + 1e-6));
    optimizer_.step(exec_, groups_, step_, goal_.weights(), goal_.gradient(), state_, factor);
    goal_.weights_changed();
    return {.step = ++step_, .loss = loss, .gradient_norm = norm};
  }

  Goal& goal_;
  const Optimizer_& optimizer_;
  const ParameterGroups& groups_;
  TrainerOptions options_;
  Exec exec_;
  typename Optimizer_::template State<Real> state_;
  Arena<double> partial_;  // scratch
  long step_ = 0;
};

}  // namespace fieldstep::train
