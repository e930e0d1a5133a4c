#pragma once
#include <limits>

namespace fieldstep::train {

/// The smallest of the values that validations gave, and for how long there was no smaller one.
struct BestSoFar {
  double value = std::numeric_limits<double>::infinity();
  long step = 0;   ///< of the update before it
  long since = 0;  ///< values since then

  /// Whether this one is the best; NaN never is.
  bool improved(double new_value, long at_step) {
    ++since;
    if (!(new_value < value)) return false;
    value = new_value, step = at_step, since = 0;
    return true;
  }

  void visit(const auto& show) { show("best/value", value), show("best/step", step), show("best/since", since); }
};

}  // namespace fieldstep::train
