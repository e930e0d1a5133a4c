#pragma once
#include <examples/cli/training_data.hpp>
#include <fieldstep/train/trajectories.hpp>

#include <cstddef>
#include <string>
#include <vector>

/// Simulations for training over rollouts.
namespace fieldstep::cli {

/// Simulations of the same fields, grid and number of frames in memory, (simulations, frames, fields, height, width),
/// and the network that learns from them: of networks with a lead time normalised, otherwise as the files have them.
struct RolloutData {
  ModelEntry entry;
  io::DatasetInfo info;  ///< of the first file
  std::vector<int> labels;
  std::array<int, 2> boundaries{};
  std::vector<float> training{}, validation{};
  int trained = 0, validated = 0;  ///< simulations
  float lead_time = 0;             ///< of one frame

  embed::Conditions conditions() const { return {.labels = labels, .boundaries = boundaries}; }
  train::Trajectories<float> trajectories(bool of_validation) const;
  std::size_t bytes() const { return (training.size() + validation.size()) * sizeof(float); }
  /// What distinguishes the data of two runs, as text.
  std::string text() const;
};

/// Reads all of it; windows of `window` states must fit. Splits by the key where nothing of its own is for validation.
RolloutData read_rollout_data(const DataOptions& options, const Wanted& wanted, int window, Key key, bool quiet);

}  // namespace fieldstep::cli
