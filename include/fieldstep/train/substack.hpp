#pragma once
#include <fieldstep/core/error.hpp>

#include <cstdint>

namespace fieldstep::train {

/// Consecutive frames of a trajectory: first, ..., first + frames - 1.
struct Window {
  int trajectory, first, frames;
  bool operator==(const Window&) const = default;
};

/// The windows of `length` frames in trajectories of equal length: frames - length + 1 of each that overlap, one
/// trajectory after the other. Nothing is copied before a minibatch is gathered, where the original holds all windows.
/// Source: trainax.TrajectorySubStacker.
class SubStacker {
 public:
  struct Options {
    bool overlapping = true;    ///< otherwise the first window of each trajectory only (do_sub_stacking)
    bool only_initial = false;  ///< of every window its first frame only (only_store_ic)
  };

  SubStacker(int trajectories, int frames, int length, const Options& options)
      : per_trajectory_(options.overlapping ? frames - length + 1 : 1), length_(length) {
    if (trajectories < 1 || length < 1 || length > frames)
      fail_usage("SubStacker: found windows of ", length, " frames in ", trajectories, " trajectories of ", frames,
                 ", wanted 1 to ", frames);
    if (options.only_initial) length_ = 1;
    size_ = std::int64_t{trajectories} * per_trajectory_;
  }
  SubStacker(int trajectories, int frames, int length) : SubStacker(trajectories, frames, length, Options()) {}

  std::int64_t size() const { return size_; }
  int snapshots() const { return length_; }  ///< of a window

  Window operator()(std::int64_t i) const {
    return {static_cast<int>(i / per_trajectory_), static_cast<int>(i % per_trajectory_), length_};
  }

 private:
  int per_trajectory_, length_;
  std::int64_t size_;
};

}  // namespace fieldstep::train
