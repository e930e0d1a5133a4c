#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/metric.hpp>
#include <fieldstep/train/stepper.hpp>
#include <fieldstep/train/trajectories.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace fieldstep::train {

/// The states after 1, 2, ..., steps steps of the stepper from the initial ones, level by level as Windows has them.
///   initial: (samples, state), any number of samples; to: (steps, samples, state)
/// Source: apebench's rollout without the initial state.
template <Stepper S>
void roll_out(S& stepper, int samples, const typename S::Real* initial, int steps, typename S::Real* to) {
  stepper.weights_changed();
  const std::size_t level = static_cast<std::size_t>(samples) * stepper.state_size();
  for (int first = 0; first < samples; first += stepper.largest_batch()) {
    const std::size_t at = static_cast<std::size_t>(first) * stepper.state_size();
    const typename S::Real* u = initial + at;
    for (int t = 0; t < steps; ++t) {
      typename S::Real* next = to + static_cast<std::size_t>(t) * level + at;
      stepper.forward(std::min(stepper.largest_batch(), samples - first), u, next);
      u = next;
    }
  }
}

/// The metric of every level of a rollout, means over the samples: forecast and reference both (steps, samples, state).
template <class Real>
std::vector<double> error_over_time(const Metric& metric, const FieldShape& shape, int samples, int steps,
                                    const Real* forecast, const Real* reference) {
  std::vector<double> curve;
  const std::size_t level = static_cast<std::size_t>(samples) * shape.size();
  for (std::size_t t = 0; t < static_cast<std::size_t>(steps); ++t)
    curve.push_back(metric.mean(shape, samples, forecast + t * level, reference + t * level));
  return curve;
}

/// Geometric mean of the first `up_to` values of a curve: one number for an error that grows.
/// Source: apebench's gmean over 100 steps.
inline double geometric_mean(const std::vector<double>& curve, std::size_t up_to = 100) {
  const std::size_t n = std::min(up_to, curve.size());
  if (n == 0) fail_usage("geometric_mean: found no values");
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += std::log(curve[i]);
  return std::exp(sum / static_cast<double>(n));
}

/// Of several curves of one length, such as those of several seeds, the quantile at every step: 0.5 is the median.
/// Linear between the two values around it, as numpy has it.
inline std::vector<double> quantile(const std::vector<std::vector<double>>& curves, double q) {
  if (curves.empty() || !(q >= 0 && q <= 1))
    fail_usage("quantile: found ", curves.size(), " curves and q = ", q, ", wanted at least one and 0 to 1");
  std::vector<double> result;
  for (std::size_t t = 0; t < curves.front().size(); ++t) {
    std::vector<double> values;
    for (const std::vector<double>& curve : curves) values.push_back(curve.at(t));
    std::ranges::sort(values);
    const double place = q * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    result.push_back(std::lerp(values[below], values[above], place - static_cast<double>(below)));
  }
  return result;
}

}  // namespace fieldstep::train
