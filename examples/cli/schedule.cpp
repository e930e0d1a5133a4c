#include <examples/cli/schedule.hpp>
#include <fieldstep/core/error.hpp>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace fieldstep::cli {

std::optional<std::size_t> Step::frame(const io::DatasetInfo& info) const {
  const double nearest = std::round(at);
  if (std::abs(at - nearest) > 1e-6 || nearest < 0 || nearest >= static_cast<double>(info.frames)) return {};
  return static_cast<std::size_t>(nearest);
}

double Step::time(const io::DatasetInfo& info) const {
  const double before = std::floor(at + 1e-6), part = std::max(0.0, at - before);
  const double t = info.time(static_cast<std::size_t>(before));
  return part == 0 ? t : t + part * (info.time(static_cast<std::size_t>(before) + 1) - t);
}

std::vector<Step> window_schedule(const ModelEntry& entry, const io::DatasetInfo& info, std::size_t start, int steps) {
  const std::size_t first = start + static_cast<std::size_t>(entry.frames), later = info.frames - first;
  const std::size_t count = steps > 0 ? static_cast<std::size_t>(steps) : std::max<std::size_t>(1, later);
  std::vector<Step> schedule(count);
  for (std::size_t i = 0; i < count; ++i) schedule[i].at = static_cast<double>(first + i);
  return schedule;
}

std::vector<Step> lead_time_schedule(const io::DatasetInfo& info, std::size_t start, const Times& times) {
  if (info.steady) {  // the frame is the solution, at a lead time of 1
    if (!times.ar_steps.empty() || times.steps > 1 || times.lead_times.size() > 1)
      fail_usage("--time, --ar-steps, --steps: ", info.name, " has no time, only a solution");
    const double lead = times.lead_times.empty() ? 1 : times.lead_times.front();
    return {{.at = 0, .lead_time = static_cast<float>(lead), .from_start = true}};
  }
  const int frames_per_unit = times.frames_per_unit > 0 ? times.frames_per_unit : info.frames_per_unit;
  if (frames_per_unit == 0)
    fail_usage("--frames-per-unit: missing; ", info.name, " does not say how many frames a lead time of 1 spans");
  for (const double lead : times.lead_times)
    if (!(lead >= 0) || lead > 1e3) fail_usage("--time: found ", lead, ", wanted lead times from 0 to 1000");
  for (const double share : times.ar_steps)
    if (!(share > 0)) fail_usage("--ar-steps: found ", share, ", wanted numbers above 0");
  if (times.steps > 0 && (!times.lead_times.empty() || !times.ar_steps.empty()))
    fail_usage("--steps: not with --time or --ar-steps, which say how many there are");

  const double later = static_cast<double>(info.frames - 1 - start);
  std::vector<Step> schedule;
  const auto straight = [&](double lead) {
    schedule.push_back({.at = static_cast<double>(start) + lead * frames_per_unit,
                        .lead_time = static_cast<float>(lead),
                        .from_start = true});
  };
  if (times.ar_steps.empty()) {
    for (const double lead : times.lead_times) straight(lead);
    const int count = times.steps > 0 ? times.steps : std::max(1, static_cast<int>(later));
    for (int i = 1; times.lead_times.empty() && i <= count; ++i) straight(static_cast<double>(i) / frames_per_unit);
    return schedule;
  }

  if (times.lead_times.size() > 1)
    fail_usage("--time: found ", times.lead_times.size(), " lead times, wanted one with --ar-steps");
  const double lead =
      times.lead_times.empty() ? std::min(1.0, std::max(1.0, later) / frames_per_unit) : times.lead_times.front();
  std::vector<double> shares = times.ar_steps;
  if (shares.size() == 1) {
    const double n = shares.front();
    if (n != std::floor(n) || n > 1e6) fail_usage("--ar-steps: found ", n, ", wanted a whole number or several shares");
    shares.assign(static_cast<std::size_t>(n), 1 / n);
  }
  double at = static_cast<double>(start);
  for (const double share : shares) {
    at += share * lead * frames_per_unit;
    schedule.push_back({.at = at, .lead_time = static_cast<float>(share * lead)});
  }
  schedule.front().from_start = true;
  return schedule;
}

std::string doubtful_lead_times(const std::vector<Step>& schedule) {
  const auto doubtful = [](const Step& step) { return step.lead_time > 1; };
  const auto count = std::ranges::count_if(schedule, doubtful);
  if (count == 0) return {};
  std::ostringstream text;
  text << count << (count == 1 ? " lead time lies" : " lead times lie")
       << " beyond 1, where ScOT was not trained (up to " << std::ranges::max(schedule, {}, &Step::lead_time).lead_time
       << "); --ar-steps goes there in several steps";
  return text.str();
}

}  // namespace fieldstep::cli
