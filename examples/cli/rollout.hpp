#pragma once
#include <examples/cli/models.hpp>
#include <examples/cli/schedule.hpp>
#include <fieldstep/io/dataset/dataset.hpp>

#include <cstddef>
#include <vector>

namespace fieldstep::cli {

/// Seconds of the parts of a forecast.
struct Timings {
  double weights = 0;       ///< to load and prepare the weights
  double first_result = 0;  ///< from the start of the process to the end of the first step
  std::vector<double> steps{};
};

/// How a simulation of a file is continued.
struct Rollout {
  const embed::Model& model;
  const ModelEntry& entry;
  const io::Dataset& data;
  std::size_t start;  ///< first frame that the model reads
  const std::vector<Step>& schedule;
  double limit = 0;  ///< largest value allowed in the file's units; 0: 1000 times the largest one read
  bool quiet = false;
  bool guarded = true;  ///< whether the numbers are watched

  /// The forecasts (steps, fields, height, width) of one sample, in the file's units. Throws Error where one leaves the
  /// finite numbers or the limit, if it is guarded.
  std::vector<float> run(std::size_t sample, Timings& timings) const;

 private:
  /// From window to window, each forecast being the newest frame of the next one's.
  std::vector<float> continue_window(std::size_t sample, Timings& timings) const;
  /// By lead times. What the network reads but does not compute stays as it is, and what is known without a forecast is
  /// put in its place before the next step (the original's pixel_mask).
  std::vector<float> look_ahead(std::size_t sample, Timings& timings) const;
  void guard(std::span<const float> frame, std::size_t step, double largest_allowed) const;
};

}  // namespace fieldstep::cli
