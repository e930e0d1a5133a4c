#pragma once
#include <examples/cli/schedule.hpp>
#include <fieldstep/core/metrics.hpp>
#include <fieldstep/io/dataset/dataset.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace fieldstep::cli {

/// Poseidon's relative L1 error of a group of fields at one step, in percent, over the samples.
struct GroupError {
  double median = 0, mean = 0;
};

/// The frames that a model forecast from a simulation, beside what the file says of the same times.
struct ForecastResult {
  const io::Dataset& data;
  std::string title;  ///< of the pictures
  std::size_t sample = 0;
  std::vector<Step> schedule{};
  std::vector<float> forecast{};  ///< (steps, fields, height, width), in the file's units
  /// Of every step that the file has, every field; and every group of fields, where the set has groups.
  std::vector<std::vector<FieldError>> errors{};
  std::vector<std::vector<GroupError>> group_errors{};
  std::vector<std::size_t> compared{};  ///< the steps that the file has, from 1

  std::size_t frame_size() const;
  std::size_t steps() const { return schedule.size(); }
  std::span<const float> frame(std::size_t step) const;
  /// The names of a group's fields: u v.
  std::string group_name(std::size_t group) const;
};

/// What was written, by names within the folder.
struct ForecastFiles {
  std::vector<std::string> pictures;
  std::string curves;  ///< picture of the error curves; empty: not drawn
  std::string note;    ///< one line about what could not be drawn
};

/// Fills result.errors and writes into `folder`: panels of `pictures` steps, error curves, the forecast as npy, and all
/// steps for ParaView. Calls `advance` after every step, and `compare` when the errors of the fields are known.
ForecastFiles write_forecast(const std::filesystem::path& folder, ForecastResult& result, std::size_t pictures,
                             const std::function<void()>& advance, const std::function<void()>& compare);

}  // namespace fieldstep::cli
