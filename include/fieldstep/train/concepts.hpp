#pragma once
#include <fieldstep/train/parameter_groups.hpp>

#include <Kokkos_Core.hpp>
#include <concepts>
#include <string_view>

namespace fieldstep::train {

/// The learning rate of update t = 0, 1, ...; any function of t is one.
template <class S>
concept Schedule = requires(const S& schedule, long t) {
  { schedule(t) } -> std::convertible_to<double>;
};

namespace detail {

struct ShowAnything {  // a lambda in its place breaks nvcc 13
  void operator()(std::string_view, auto&) const;
};

}  // namespace detail

/// What a run remembers from update to update: moments, which are flat arenas of the weights' layout, and numbers.
/// visit(show) calls show(name, Arena<Real>&) and show(name, double&) for all that a checkpoint must hold.
template <class S>
concept OptimizerState = requires(S& state) {
  state.visit(detail::ShowAnything{});
};

/// Nothing to remember.
template <class Real>
struct NoState {
  void visit(const auto&) {}
};

/// Hyper-parameters and a schedule. step() makes update t, weights += u(factor * gradient), for the parameters that the
/// groups name; the factor is that of clipping by norm. It allocates nothing.
template <class O, class Real = float, class Exec = Kokkos::DefaultHostExecutionSpace>
concept Optimizer = OptimizerState<typename O::template State<Real>> &&
    requires(const O& optimizer, const Exec& exec, const ParameterGroups& groups, long t, Real* weights, Real* gradient,
             typename O::template State<Real>& state, double factor) {
  { optimizer.template make_state<Real>(groups) } -> std::same_as<typename O::template State<Real>>;
  optimizer.step(exec, groups, t, weights, gradient, state);
  optimizer.step(exec, groups, t, weights, gradient, state, factor);
};

/// What is done to a gradient before an optimizer sees it, which is factor * gradient. apply() changes the gradient or
/// leaves it, and returns what the next link has to multiply it with: a factor costs no pass.
template <class T, class Real = float, class Exec = Kokkos::DefaultHostExecutionSpace>
concept GradientTransformation = OptimizerState<typename T::template State<Real>> &&
    requires(const T& transformation, const Exec& exec, const ParameterGroups& groups, long t, const Real* weights,
             Real* gradient, typename T::template State<Real>& state, double factor) {
  { transformation.template make_state<Real>(groups) } -> std::same_as<typename T::template State<Real>>;
  { transformation.apply(exec, groups, t, weights, gradient, state, factor) } -> std::same_as<double>;
};

}  // namespace fieldstep::train
