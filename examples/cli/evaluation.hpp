#pragma once
#include <examples/cli/models.hpp>
#include <fieldstep/io/dataset/dataset.hpp>
#include <fieldstep/train/metric.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

/// Errors of rollouts over time, averaged over many starts.
namespace fieldstep::cli {

/// Where rollouts of a file start, and how far they go. All models forecast the same frames: those that read more of
/// the past read it before `origin`.
struct Starts {
  struct Start {
    std::size_t sample, origin;  ///< origin: the first frame to forecast
  };
  std::vector<Start> all;
  std::size_t steps;
};

/// From every simulation, at its first frame and, with every > 0, again after every so many frames. history: the most
/// frames that a model reads. steps = 0: as many as the file goes on.
Starts starts_of(const io::DatasetInfo& info, std::size_t history, std::size_t steps, std::size_t every);

/// Values of one metric after 1, 2, ... steps.
using Curve = std::vector<double>;

/// Weights with the network that they are for.
struct Contestant {
  std::string label, weights;
  ModelEntry entry;
  embed::Model model;
  int frames_per_unit = 0;  ///< of networks with a lead time

  /// The frames origin, origin + 1, ... (steps, fields, height, width) of one start.
  std::vector<float> forecast(const io::Dataset& data, const Starts::Start& start, std::size_t steps) const;
};

/// The newest known frame again and again: what a forecast must beat.
std::vector<float> persist(const io::Dataset& data, const Starts::Start& start, std::size_t steps);

/// Means over the starts of metrics of forecast(start), a curve a metric. A value that is no number counts as infinite.
std::vector<Curve> errors_over_time(const io::Dataset& data, const Starts& starts,
                                    const std::vector<train::Metric>& metrics, double extent,
                                    const std::function<std::vector<float>(const Starts::Start&)>& forecast,
                                    const std::function<void()>& advance);

}  // namespace fieldstep::cli
