#pragma once
#include <algorithm>
#include <cstddef>

// How the values of the samples of a batch become one: share(value, of the batch) is what a sample counts for.
namespace fieldstep::train {

/// What is known of a batch's values before a sample is weighted.
struct BatchValues {
  int samples;
  double largest = 0;  ///< where the reduction needs_largest
  int ties = 0;        ///< samples that have it
};

struct Mean {
  static constexpr bool needs_largest = false;
  static double share(double, const BatchValues& batch) { return 1. / batch.samples; }
};

struct Sum {
  static constexpr bool needs_largest = false;
  static double share(double, const BatchValues&) { return 1; }
};

/// The largest value; samples that share it share the gradient evenly.
struct Max {
  static constexpr bool needs_largest = true;
  static double share(double value, const BatchValues& batch) { return value == batch.largest ? 1. / batch.ties : 0; }
};

}  // namespace fieldstep::train
