#pragma once
#include <fieldstep/core/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fieldstep::train {

/// A sample of a network with a lead time: it reads frame `from` and is to compute frame `to`.
struct FramePair {
  int trajectory, from, to;
  float lead_time;
  bool operator==(const FramePair&) const = default;
};

/// Poseidon's all-to-all pairs of a trajectory: frames step * i and step * j for all 0 <= i <= j <= last, a frame with
/// itself included, one trajectory after the other. The lead time is step * (j - i) / frames_per_unit.
/// Source: time_indices of Poseidon's BaseTimeDataset (scOT/problems/base.py).
class AllToAllPairs {
 public:
  struct Options {
    int step = 2;                        ///< frames between the times that are paired up
    int last = 7;                        ///< of these times; fewer where a trajectory is shorter
    int frames_per_unit = 20;            ///< a lead time of 1 is that many frames
    std::span<const int> transitions{};  ///< the values of j - i that are taken; empty: all
  };

  AllToAllPairs(int trajectories, int frames, const Options& options) : frames_per_unit_(options.frames_per_unit) {
    if (trajectories < 1 || frames < 1 || options.step < 1 || options.last < 0 || options.frames_per_unit < 1)
      fail_usage("AllToAllPairs: found ", trajectories, " trajectories of ", frames, " frames, one of ", options.step,
                 " frames up to ", options.last, " taken, ", options.frames_per_unit,
                 " to a unit of time, wanted at least one each");
    const int last = std::min(options.last, (frames - 1) / options.step);
    for (int i = 0; i <= last; ++i)
      for (int j = i; j <= last; ++j)
        if (options.transitions.empty() || std::ranges::count(options.transitions, j - i) > 0)
          pairs_.push_back({options.step * i, options.step * j});
    if (pairs_.empty())
      fail_usage("AllToAllPairs: none of the transitions asked for is among the 0 to ", last, " of a trajectory of ",
                 frames, " frames");
    size_ = std::int64_t{trajectories} * std::ssize(pairs_);
  }

  std::int64_t size() const { return size_; }
  std::int64_t per_trajectory() const { return std::ssize(pairs_); }

  FramePair operator()(std::int64_t i) const {
    const auto [from, to] = pairs_[static_cast<std::size_t>(i % per_trajectory())];
    return {.trajectory = static_cast<int>(i / per_trajectory()),
            .from = from,
            .to = to,
            .lead_time = static_cast<float>(static_cast<double>(to - from) / frames_per_unit_)};
  }

 private:
  int frames_per_unit_;
  std::vector<std::array<int, 2>> pairs_;  // of one trajectory
  std::int64_t size_;
};

}  // namespace fieldstep::train
