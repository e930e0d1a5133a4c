#pragma once
#include <Kokkos_Core.hpp>
#include <concepts>
#include <cstddef>

namespace fieldstep::train {

/// How far states are from what they should be, of a batch: a number per sample, reduced over the samples.
///   value = loss(exec, samples, size, y, target, weight, dy, dtarget)
///   y, target: (samples, size); without a target, null, y itself is measured
/// The value is summed in double and not multiplied by weight; weight times its derivatives is added to dy and to
/// dtarget, each where it is not null. needs_target: whether target may not be null.
template <class L, class Real, class Exec = Kokkos::DefaultHostExecutionSpace>
concept RolloutLoss = requires(const L& loss, const Exec& exec, int samples, std::size_t size, const Real* y,
                               const Real* target, double weight, Real* dy, Real* dtarget) {
  { L::needs_target } -> std::convertible_to<bool>;
  { loss(exec, samples, size, y, target, weight, dy, dtarget) } -> std::same_as<double>;
};

}  // namespace fieldstep::train
