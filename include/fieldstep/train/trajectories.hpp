#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/substack.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fieldstep::train {

/// Trajectories of equal length, somebody else's memory: (count, frames, frame). A state is `history` consecutive
/// frames, more than one for networks that read the past; state t ends with frame t + history - 1.
template <class Real>
struct Trajectories {
  const Real* data;
  int count, frames;
  std::size_t frame;  ///< numbers of one frame
  int history = 1;

  int states() const { return frames - history + 1; }
  std::size_t state_size() const { return frame * static_cast<std::size_t>(history); }
  const Real* state(int trajectory, int t) const {
    const auto first = static_cast<std::size_t>(trajectory) * static_cast<std::size_t>(frames);
    return data + (first + static_cast<std::size_t>(t)) * frame;
  }
};

/// Windows of a minibatch, one time level after the other: (snapshots, samples, state), so that every level is a batch
/// of states. Level 0 are the initial states, the others what a forecast is compared with.
template <class Real>
struct Windows {
  const Real* data;
  int snapshots, samples;
  std::size_t state;

  const Real* level(int t) const {
    return data + static_cast<std::size_t>(t) * static_cast<std::size_t>(samples) * state;
  }
};

/// Puts the stacker's windows of `which` into `to`, (snapshots, samples, state).
template <class Real>
Windows<Real> gather(const Trajectories<Real>& all, const SubStacker& stacker, std::span<const std::int32_t> which,
                     Real* to) {
  const Windows<Real> windows{to, stacker.snapshots(), static_cast<int>(which.size()), all.state_size()};
  for (std::size_t n = 0; n < which.size(); ++n) {
    const Window window = stacker(which[n]);
    for (int t = 0; t < window.frames; ++t)
      std::copy_n(all.state(window.trajectory, window.first + t), windows.state,
                  to + (windows.level(t) - to) + n * windows.state);
  }
  return windows;
}

}  // namespace fieldstep::train
