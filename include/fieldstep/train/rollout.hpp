#pragma once
#include <fieldstep/core/activations.hpp>
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/ops/add.hpp>
#include <fieldstep/train/configuration/concept.hpp>
#include <fieldstep/train/loss/concept.hpp>
#include <fieldstep/train/stepper.hpp>
#include <fieldstep/train/trajectories.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace fieldstep::train {

/// Where a configuration needs none.
struct NoReference {};
struct NoResiduum {};

/// The chain of states that a configuration looks at, forwards and in reverse: its memory and its passes.
///   x_0 from the data, x_s = f(x_{s-1}) or P(x_{s-1}), s = 1 ... steps
/// Cotangents of a state come from the loss at its level, which sees the state before it is cut (at()), and from what
/// else reads the state that is passed on (passed()). All cotangents that arrive at a level are added before its step
/// is reversed: a chain of R steps costs R network passes in each direction, whatever compares it with what.
///   lambda_s = what is passed on;  lambda_{s-1} = f^T(x_{s-1}; at_s + [not cut] lambda_s) + passed_{s-1}
/// Source: trainax' configurations, whose reverse passes are derived in closed form here.
template <Stepper S, class Reference = NoReference, class Residuum = NoResiduum,
          class Exec = Kokkos::DefaultHostExecutionSpace>
class Rollout {
 public:
  using Real = typename S::Real;

  /// reference and residuum: null where no configuration needs them. activations: tapes of all steps, or of one, with
  /// the network's forward pass computed once more in reverse.
  Rollout(S& stepper, Reference* reference, Residuum* residuum, ChainLength length,
          Activations activations = Activations::keep, const Exec& exec = {})
      : exec_(exec),
        stepper_(stepper),
        reference_(reference),
        residuum_(residuum),
        length_(length),
        activations_(activations),
        memory_(size(stepper, length, activations)),
        levels_(static_cast<std::size_t>(length.steps) + 1) {
    take(Carver<Real>(memory_.data()));
  }

  /// Numbers that it allocates.
  static std::size_t size(const S& stepper, ChainLength length, Activations activations) {
    const std::size_t states = 3 * (static_cast<std::size_t>(length.steps) + 1) + 2 * branch_states(length) + 2;
    const std::size_t tapes = activations == Activations::keep ? static_cast<std::size_t>(length.steps) : 1;
    return states * batch_size(stepper) + tapes * aligned_count(stepper.tape_size());
  }

  // What configurations are written with.

  const Exec& exec() const { return exec_; }
  int samples() const { return samples_; }
  std::size_t count() const { return static_cast<std::size_t>(samples_) * stepper_.state_size(); }  ///< of a batch
  Reference& reference() { return *reference_; }
  Residuum& residuum() { return *residuum_; }
  const Real* state(int s) const { return levels_[index(s)].state; }
  /// Where the cotangent of state s belongs that a loss at its level makes; null where no gradient is wanted.
  Real* at(int s) { return cotangent(levels_[index(s)].at, levels_[index(s)].at_used); }
  /// The same of what else reads the state that is passed on.
  Real* passed(int s) { return cotangent(levels_[index(s)].passed, levels_[index(s)].passed_used); }
  bool wants_gradient() const { return gradient_; }
  /// States beside the chain, 0 to twice the branch's length plus one.
  Real* spare(int i) { return spare_ + index(i) * batch_size(stepper_); }

  /// w loss(y, target); adds weight times its derivatives to dy and dtarget, each where it is not null.
  template <class Loss>
  double compare(const Loss& loss, double w, double weight, const Real* y, const Real* target, Real* dy,
                 Real* dtarget = nullptr) const {
    static_assert(RolloutLoss<Loss, Real, Exec>, "Rollout: the loss of a configuration must be a RolloutLoss");
    return w * loss(exec_, samples_, stepper_.state_size(), y, target, weight * w, dy, dtarget);
  }

  /// The chain from the windows' initial states.
  template <Configuration C>
  void forward(const C& configuration, const Windows<Real>& windows) {
    steps_ = configuration.length().steps;
    std::copy_n(windows.level(0), count(), levels_[0].state);
    for (Level& level : levels_) level.at_used = level.passed_used = false;
    for (int s = 1; s <= steps_; ++s) {
      Level& level = levels_[index(s)];
      level.input = s > 1 && configuration.rule(s - 1).reset ? windows.level(s - 1) : state(s - 1);
      if (configuration.rule(s).physics) {
        if constexpr (ReferenceStepper<Reference, Real>) reference_->forward(samples_, level.input, level.state);
      } else if (gradient_ && (activations_ == Activations::keep || s == steps_)) {
        stepper_.forward(samples_, level.input, level.state, tape(s));
      } else {
        stepper_.forward(samples_, level.input, level.state);
      }
    }
  }

  /// In reverse, with the cotangents that were written to at() and passed(); adds to the stepper's gradient, and to
  /// that of the initial states where one is wanted.
  template <Configuration C>
  void backward(const C& configuration) {
    if (!gradient_) return;
    bool arrives = false;  // a cotangent is in lambda_
    for (int s = steps_; s >= 1; --s) {
      const LevelRule rule = configuration.rule(s);
      Level& level = levels_[index(s)];
      const Real* g = level.at;
      if (arrives && !rule.cut && !rule.reset) {
        if (level.at_used)
          ops::add(exec_, count(), lambda_, level.at);
        else
          g = lambda_;
      } else if (!level.at_used) {
        g = nullptr;  // nothing depends on this state
      }
      const bool cut_before = s > 1 ? stops(configuration.rule(s - 1)) : initial_gradient_ == nullptr;
      Real* const to = cut_before ? nullptr : g == lambda_ ? other_ : lambda_;
      if (g) reverse_step(s, rule, g, to);
      arrives = !cut_before && g != nullptr;
      if (arrives && to == other_) std::swap(lambda_, other_);
      Level& before = levels_[index(s - 1)];
      if (!cut_before && before.passed_used) {
        if (arrives)
          ops::add(exec_, count(), before.passed, lambda_);
        else
          std::copy_n(before.passed, count(), lambda_);
        arrives = true;
      }
    }
    if (arrives && initial_gradient_) ops::add(exec_, count(), lambda_, initial_gradient_);
  }

  /// Value of a configuration on these windows. With a gradient, adds it to the stepper's; adds that of the initial
  /// states to initial_gradient, (samples, state), where it is not null.
  template <Configuration C>
  double value(const C& configuration, const Windows<Real>& windows) {
    return evaluate(configuration, windows, false, nullptr);
  }
  template <Configuration C>
  double add_gradient(const C& configuration, const Windows<Real>& windows, Real* initial_gradient = nullptr) {
    return evaluate(configuration, windows, true, initial_gradient);
  }

 private:
  struct Level {
    Real *state = nullptr, *at = nullptr, *passed = nullptr;
    const Real* input = nullptr;  ///< of the step to it
    bool at_used = false, passed_used = false;
  };

  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  static std::size_t branch_states(ChainLength length) { return static_cast<std::size_t>(length.branch) + 1; }
  static std::size_t batch_size(const S& stepper) {
    return aligned_count(static_cast<std::size_t>(stepper.largest_batch()) * stepper.state_size());
  }
  static bool stops(const LevelRule& rule) { return rule.cut || rule.reset; }
  Real* tape(int s) {
    return activations_ == Activations::keep ? tapes_ + index(s - 1) * aligned_count(stepper_.tape_size()) : tapes_;
  }

  void take(Carver<Real> from) {
    const std::size_t batch = batch_size(stepper_);
    for (Level& level : levels_)
      level.state = from.take(batch), level.at = from.take(batch), level.passed = from.take(batch);
    spare_ = from.take(2 * branch_states(length_) * batch);
    lambda_ = from.take(batch), other_ = from.take(batch);
    tapes_ = from.take(0);
  }

  /// Zero when it is asked for first.
  Real* cotangent(Real* memory, bool& used) {
    if (!gradient_) return nullptr;
    if (!used) std::fill_n(memory, count(), Real(0));
    used = true;
    return memory;
  }

  void reverse_step(int s, const LevelRule& rule, const Real* g, Real* to) {
    const Real* input = levels_[index(s)].input;
    if (rule.physics) {
      if constexpr (DifferentiableReference<Reference, Real>)
        if (to) reference_->vjp(samples_, input, g, to);
      return;
    }
    if (activations_ == Activations::recompute && s < steps_) stepper_.forward(samples_, input, spare(0), tape(s));
    stepper_.backward(samples_, input, tape(s), g, to);
  }

  template <Configuration C>
  double evaluate(const C& configuration, const Windows<Real>& windows, bool gradient, Real* initial_gradient) {
    if constexpr (C::needs_reference)
      static_assert(ReferenceStepper<Reference, Real>,
                    "Rollout: this configuration compares with physics, wanted a ReferenceStepper as second argument");
    if constexpr (C::needs_residuum)
      static_assert(ResiduumFunction<Residuum, Real>,
                    "Rollout: this configuration minimises a residuum, wanted a ResiduumFunction as third argument");
    if constexpr (C::needs_reference && !DifferentiableReference<Reference, Real>)
      if (gradient && configuration.differentiates_reference())
        fail_usage("Rollout: the gradient of this configuration goes through the reference stepper, which has no vjp");
    const auto [steps, branch] = configuration.length();
    if (windows.snapshots < configuration.snapshots() || windows.state != stepper_.state_size() ||
        windows.samples > stepper_.largest_batch() || steps > length_.steps || branch > length_.branch)
      fail_usage("Rollout: found ", windows.samples, " windows of ", windows.snapshots, " states of ", windows.state,
                 " numbers, wanted at most ", stepper_.largest_batch(), " of at least ", configuration.snapshots(),
                 " states of ", stepper_.state_size(), " numbers for ", steps, " steps of at most ", length_.steps);
    samples_ = windows.samples;
    gradient_ = gradient;
    initial_gradient_ = initial_gradient;
    return configuration.evaluate(*this, windows, 1.0);
  }

  Exec exec_;
  S& stepper_;
  Reference* reference_;
  Residuum* residuum_;
  ChainLength length_;
  Activations activations_;
  Arena<Real> memory_;
  std::vector<Level> levels_;
  Real *spare_ = nullptr, *lambda_ = nullptr, *other_ = nullptr, *tapes_ = nullptr;

  int samples_ = 0, steps_ = 0;  // of the pass under way
  bool gradient_ = false;
  Real* initial_gradient_ = nullptr;
};

}  // namespace fieldstep::train
