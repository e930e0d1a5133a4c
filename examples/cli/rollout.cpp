#include <examples/cli/interruption.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/progress.hpp>
#include <examples/cli/rollout.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/embed/history.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>
#include <string>

namespace fieldstep::cli {

namespace {

using Clock = std::chrono::steady_clock;

double largest(std::span<const float> values) {
  float all = 0;
  for (const float v : values) all = std::max(all, std::abs(v));
  return all;
}

/// Runs one step and notes how long it took.
template <class Step>
void timed(Timings& timings, const Step& step) {
  const auto start = Clock::now();
  step();
  timings.steps.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  if (timings.first_result == 0) timings.first_result = seconds_since_start();
}

}  // namespace

void Rollout::guard(std::span<const float> frame, std::size_t step, double largest_allowed) const {
  if (!guarded) return;
  const io::DatasetInfo& info = data.info();
  const std::size_t points = frame.size() / info.fields.size();
  for (std::size_t i = 0; i < frame.size(); ++i) {
    if (std::abs(frame[i]) <= largest_allowed) continue;  // false for NaN, too
    fail("forecast: ", info.fields[i / points], " is ", frame[i], " in step ", step, ", allowed are values up to ",
         largest_allowed, step > 1 ? " (--limit); --steps " + std::to_string(step - 1) + " ends before" : " (--limit)");
  }
}

std::vector<float> Rollout::run(std::size_t sample, Timings& timings) const {
  timings.steps.reserve(schedule.size());
  return entry.lead_time ? look_ahead(sample, timings) : continue_window(sample, timings);
}

std::vector<float> Rollout::continue_window(std::size_t sample, Timings& timings) const {
  const std::size_t size = entry.frame_size();
  const std::vector<float> window = data.read_frames(sample, start, static_cast<std::size_t>(entry.frames));
  const double allowed = limit > 0 ? limit : 1e3 * largest(window);
  embed::History<float> history(entry.frames, size);
  for (std::size_t at = 0; at < window.size(); at += size) history.observe(&window[at]);
  std::vector<float> forecast(schedule.size() * size);
  Progress progress("forecast", static_cast<int>(schedule.size()), quiet);
  for (std::size_t step = 1; step <= schedule.size(); ++step) {
    const std::span<float> next = std::span(forecast).subspan((step - 1) * size, size);
    timed(timings, [&] { model.forward(1, history.window(), next.data()); });
    guard(next, step, allowed);
    Interruption::check();
    history.observe(next.data());
    progress.advance();
  }
  return forecast;
}

std::vector<float> Rollout::look_ahead(std::size_t sample, Timings& timings) const {
  const io::DatasetInfo& info = data.info();
  const std::size_t points = entry.points(), size = info.fields.size() * points, computed = entry.out_size();
  const std::vector<float> first = data.read_input(sample, start);
  const auto normalisation = [&](std::size_t i) {
    return info.normalisation.empty() ? io::Normalisation{} : info.normalisation[i / points];
  };
  const double allowed = limit > 0 ? limit : 1e3 * largest(data.read_frames(sample, start, 1));
  std::vector<float> seen = first, y(computed), forecast(schedule.size() * size);
  Progress progress("forecast", static_cast<int>(schedule.size()), quiet);
  for (std::size_t step = 1; step <= schedule.size(); ++step) {
    const Step& now = schedule[step - 1];
    if (now.from_start) seen = first;
    timed(timings, [&] { model.forward(1, seen.data(), y.data(), &now.lead_time); });
    if (!info.steady) std::ranges::copy(y, seen.begin());

    const std::span<float> frame = std::span(forecast).subspan((step - 1) * size, size);
    for (std::size_t i = 0; i < size; ++i) frame[i] = normalisation(i).back(i < computed ? y[i] : seen[i]);
    const std::vector<float> before(frame.begin(), frame.end());
    data.impose_known(sample, frame);
    for (std::size_t i = 0; !info.steady && i < size; ++i)
      if (frame[i] != before[i]) seen[i] = normalisation(i).forth(frame[i]);
    guard(frame, step, allowed);
    Interruption::check();
    progress.advance();
  }
  return forecast;
}

}  // namespace fieldstep::cli
