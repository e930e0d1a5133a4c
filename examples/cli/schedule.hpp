#pragma once
#include <examples/cli/models.hpp>
#include <fieldstep/io/dataset/description.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

/// Which forecasts are made, and what each stands for.
namespace fieldstep::cli {

/// One forecast.
struct Step {
  double at = 0;            ///< place on the file's axis of frames, which may lie between two
  float lead_time = 0;      ///< of networks that read one
  bool from_start = false;  ///< computed from the file's own frame, not from the forecast before

  /// The frame of the file that it stands for, if there is one.
  std::optional<std::size_t> frame(const io::DatasetInfo& info) const;
  /// Its time, between frames interpolated.
  double time(const io::DatasetInfo& info) const;
};

/// What the command line says of times. Empty, 0: nothing.
struct Times {
  std::vector<double> lead_times;  ///< in the units of training
  std::vector<double> ar_steps;    ///< one number n: n equal steps to the lead time; several: its shares
  int frames_per_unit = 0;         ///< a lead time of 1 is that many frames
  int steps = 0;
};

/// The steps of a network that continues a window whose first frame is `start`.
std::vector<Step> window_schedule(const ModelEntry& entry, const io::DatasetInfo& info, std::size_t start, int steps);

/// The steps of a network that reads frame `start` and a lead time: straight to every time asked for, or to every later
/// frame; with ar_steps from forecast to forecast. Throws Error (usage) where the times make no sense together, or
/// where nobody says what a lead time is.
std::vector<Step> lead_time_schedule(const io::DatasetInfo& info, std::size_t start, const Times& times);

/// One line about lead times outside of those that ScOT was trained with; empty if there are none.
std::string doubtful_lead_times(const std::vector<Step>& schedule);

}  // namespace fieldstep::cli
