#pragma once
#include <fieldstep/core/error.hpp>

#include <concepts>
#include <string>
#include <vector>

namespace fieldstep::train {

/// What happens at level s of a chain, the state after s steps, s = 1, 2, ...
struct LevelRule {
  bool physics = false;  ///< the step to this level is the reference stepper's, not the network's
  bool cut = false;      ///< it is passed on as a constant: no gradient goes through
  bool reset = false;    ///< the chain goes on from the data instead (teacher forcing)
};

/// Memory of a rollout: steps of its chain, and of the longest branch that is computed beside it.
struct ChainLength {
  int steps, branch;
};

/// How a rollout becomes a number: loss x stepper x reference. evaluate(rollout, windows, weight) returns the value
/// and, where the rollout wants one, adds weight times the gradient. check() throws a sentence where members contradict
/// each other. A configuration reads as many snapshots of a window as it needs and ignores the rest.
template <class C>
concept Configuration = requires(const C& configuration, int s) {
  { C::needs_reference } -> std::convertible_to<bool>;
  { C::needs_residuum } -> std::convertible_to<bool>;
  { configuration.rule(s) } -> std::same_as<LevelRule>;
  { configuration.length() } -> std::same_as<ChainLength>;
  { configuration.snapshots() } -> std::same_as<int>;
  { configuration.window() } -> std::same_as<int>;
  configuration.check();
};

namespace detail {

/// One weight of a list, where an empty one means ones.
inline double weight_at(const std::vector<double>& weights, int i) {
  return weights.empty() ? 1 : weights[static_cast<std::size_t>(i)];
}

inline void check_weights(const char* who, const char* name, const std::vector<double>& weights, int wanted) {
  if (!weights.empty() && std::ssize(weights) != wanted)
    fail_usage(who, ": found ", weights.size(), " ", name, ", wanted one for each of ", wanted, " levels, or none");
}

inline void check_steps(const char* who, const char* name, int steps) {
  if (steps < 1) fail_usage(who, ": found ", name, " = ", steps, ", wanted at least 1");
}

}  // namespace detail

}  // namespace fieldstep::train
