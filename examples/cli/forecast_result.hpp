#pragma once
#include <fieldstep/core/metrics.hpp>
#include <fieldstep/io/dataset/dataset.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace fieldstep::cli {

/// The frames that a model forecast from a window of a simulation, beside what the file says of the same times.
struct ForecastResult {
  const io::Dataset& data;
  std::string title;  ///< of the pictures
  std::size_t sample = 0;
  std::size_t first = 0;                          ///< frame of the file that step 1 stands for
  std::vector<float> forecast;                    ///< (steps, fields, height, width)
  std::vector<std::vector<FieldError>> errors{};  ///< of every step that the file has, every field

  std::size_t frame_size() const;
  std::size_t steps() const { return forecast.size() / frame_size(); }
  /// Steps for which the file has the frame.
  std::size_t compared() const;
  std::span<const float> frame(std::size_t step) const;
};

/// What was written, by names within the folder.
struct ForecastFiles {
  std::vector<std::string> pictures;
  std::string curves;  ///< picture of the error curves; empty: not drawn
  std::string note;    ///< one line about what could not be drawn
};

/// Fills result.errors and writes into `folder`: panels of `pictures` steps, error curves, the forecast as npy, and all
/// steps for ParaView. Calls `advance` after every step.
ForecastFiles write_forecast(const std::filesystem::path& folder, ForecastResult& result, std::size_t pictures,
                             const std::function<void()>& advance);

}  // namespace fieldstep::cli
