#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/concepts.hpp>
#include <fieldstep/train/schedule.hpp>

#include <algorithm>
#include <string_view>

// What the optimizers with D-Adaptation share: d, a lower bound of the distance from the start to the solution, takes
// the place of the learning rate and only grows.
namespace fieldstep::train::detail {

/// The next d: at least the last, at most growth_rate times it.
inline double grown(double d, double estimate, double growth_rate) {
  return std::max(d, std::min(estimate, growth_rate * d));
}

inline void require_one_rate(const ParameterGroups& groups, std::string_view optimizer) {
  for (const ParameterRun& run : groups.runs())
    if (run.rate != 1)
      fail_usage(optimizer, ": found a group with ", run.rate,
                 " times the learning rate, wanted 1: D-Adaptation finds one for all");
}

}  // namespace fieldstep::train::detail
