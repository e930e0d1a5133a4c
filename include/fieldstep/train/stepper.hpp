#pragma once
#include <fieldstep/core/param_table.hpp>

#include <concepts>
#include <cstddef>

// What the configurations of a training (train/configuration/) build a rollout from. A state is state_size() numbers
// in any order, a batch of them (samples, state): every function works on the whole batch at once.
namespace fieldstep::train {

/// A trained map of a state to the next: a network with its weights and their gradient, such as embed::NetStepper.
///   forward(samples, u, next)           overwrites next
///   forward(samples, u, next, tape)     the same bits, and leaves in tape what backward reads beside u
///   backward(samples, u, tape, g, du)   adds to gradient(); overwrites du = J(u)^T g, where du is not null; uses up
///                                       the tape
/// A tape has tape_size() numbers, enough for largest_batch() samples; that many tapes as a rollout has steps are kept.
/// Nothing here allocates. weights_changed() is called before the first step with new weights.
template <class S>
concept Stepper = requires(S& stepper, int samples, const typename S::Real* u, typename S::Real* to) {
  { stepper.state_size() } -> std::same_as<std::size_t>;
  { stepper.largest_batch() } -> std::same_as<int>;
  { stepper.tape_size() } -> std::same_as<std::size_t>;
  { stepper.table() } -> std::convertible_to<ParamTable>;
  { stepper.weights() } -> std::same_as<typename S::Real*>;
  { stepper.gradient() } -> std::same_as<typename S::Real*>;
  stepper.clear_gradient();
  stepper.weights_changed();
  stepper.forward(samples, u, to);
  stepper.forward(samples, u, to, to);
  stepper.backward(samples, u, to, u, to);
};

/// Known physics as a map of a state to the next, P. It has no trained parameters.
///   forward(samples, u, next)    overwrites next
template <class P, class Real>
concept ReferenceStepper = requires(P& physics, int samples, const Real* u, Real* to) {
  physics.forward(samples, u, to);
};

/// One that gradients can go through.
///   vjp(samples, u, g, du)       overwrites du = P'(u)^T g
template <class P, class Real>
concept DifferentiableReference = ReferenceStepper<P, Real> &&
    requires(P& physics, int samples, const Real* u, Real* to) {
  physics.vjp(samples, u, u, to);
};

/// What two consecutive states leave unbalanced of an equation, r(next, prev), as large as a state.
///   forward(samples, next, prev, r)                    overwrites r
///   vjp(samples, next, prev, g, dnext, dprev)          overwrites dnext and dprev, each where it is not null
template <class F, class Real>
concept ResiduumFunction = requires(F& residuum, int samples, const Real* state, Real* to) {
  residuum.forward(samples, state, state, to);
  residuum.vjp(samples, state, state, state, to, to);
};

}  // namespace fieldstep::train
