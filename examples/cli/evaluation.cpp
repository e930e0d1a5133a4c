#include <examples/cli/evaluation.hpp>
#include <examples/cli/rollout.hpp>
#include <fieldstep/core/error.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace fieldstep::cli {

namespace {

/// Frame by frame, each step from the forecast before.
std::vector<Step> frame_by_frame(const ModelEntry& entry, std::size_t origin, std::size_t steps, int frames_per_unit) {
  std::vector<Step> schedule(steps);
  for (std::size_t i = 0; i < steps; ++i) {
    schedule[i].at = static_cast<double>(origin + i);
    if (entry.lead_time) schedule[i].lead_time = 1 / static_cast<float>(frames_per_unit);
  }
  schedule.front().from_start = true;
  return schedule;
}

}  // namespace

Starts starts_of(const io::DatasetInfo& info, std::size_t history, std::size_t steps, std::size_t every) {
  if (info.frames <= history)
    fail("--data: ", info.name, " has ", counted(info.frames, "frame"), ", wanted more than the ", history,
         " that are read");
  const std::size_t later = info.frames - history;
  Starts starts{.all = {}, .steps = steps > 0 ? steps : later};
  if (starts.steps > later)
    fail_usage("--steps: found ", steps, ", but behind the ", counted(history, "frame"),
               " that are read the file goes on for ", later);
  for (std::size_t sample = 0; sample < info.samples; ++sample)
    for (std::size_t origin = history; origin + starts.steps <= info.frames; origin += every) {
      starts.all.push_back({sample, origin});
      if (every == 0) break;
    }
  return starts;
}

std::vector<float> Contestant::forecast(const io::Dataset& data, const Starts::Start& start, std::size_t steps) const {
  const std::vector<Step> schedule = frame_by_frame(entry, start.origin, steps, frames_per_unit);
  const Rollout rollout{.model = model,
                        .entry = entry,
                        .data = data,
                        .start = start.origin - static_cast<std::size_t>(entry.frames),
                        .schedule = schedule,
                        .quiet = true,
                        .guarded = false};
  Timings untold;
  return rollout.run(start.sample, untold);
}

std::vector<float> persist(const io::Dataset& data, const Starts::Start& start, std::size_t steps) {
  const std::vector<float> newest = data.read_frames(start.sample, start.origin - 1, 1);
  std::vector<float> frames;
  frames.reserve(steps * newest.size());
  for (std::size_t i = 0; i < steps; ++i) frames.insert(frames.end(), newest.begin(), newest.end());
  return frames;
}

std::vector<Curve> errors_over_time(const io::Dataset& data, const Starts& starts,
                                    const std::vector<train::Metric>& metrics, double extent,
                                    const std::function<std::vector<float>(const Starts::Start&)>& forecast,
                                    const std::function<void()>& advance) {
  const io::DatasetInfo& info = data.info();
  const train::FieldShape shape{
      .channels = static_cast<int>(info.fields.size()), .axes = {info.height, info.width}, .extent = extent};
  std::vector<Curve> curves(metrics.size(), Curve(starts.steps, 0.));
  for (const Starts::Start& start : starts.all) {
    const std::vector<float> made = forecast(start), truth = data.read_frames(start.sample, start.origin, starts.steps);
    for (std::size_t m = 0; m < metrics.size(); ++m)
      for (std::size_t t = 0; t < starts.steps; ++t) {
        const double error = metrics[m](shape, &made[t * shape.size()], &truth[t * shape.size()]);
        curves[m][t] += (std::isnan(error) ? std::numeric_limits<double>::infinity() : error) /
                        static_cast<double>(starts.all.size());
      }
    advance();
  }
  return curves;
}

}  // namespace fieldstep::cli
