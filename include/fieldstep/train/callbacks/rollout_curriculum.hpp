#pragma once
#include <fieldstep/train/trainer.hpp>

#include <vector>

namespace fieldstep::train {

/// A rollout that becomes longer while the network learns: from update `first` on it has `rollout` steps. The objective
/// must have been made with the longest one; time level weights must be ones, since they would not fit.
///   RolloutCurriculum{{{.first = 0, .rollout = 1}, {.first = 1000, .rollout = 5}}}
struct RolloutCurriculum {
  struct Stage {
    long first;
    int rollout;
  };
  std::vector<Stage> stages;  ///< in order

  void before_step(long i, auto& goal) {
    for (const Stage& stage : stages)
      if (i >= stage.first) goal.configuration().rollout = stage.rollout;
    goal.configuration().check();
  }
  bool on_step(const Update&) { return false; }
};

}  // namespace fieldstep::train
