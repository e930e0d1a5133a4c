#pragma once
#include <fieldstep/train/callbacks/record.hpp>
#include <fieldstep/train/trainer.hpp>

namespace fieldstep::train {

/// Notes the learning rate of every `every`-th update.
template <Schedule Rate>
struct LearningRate {
  Rate schedule;
  long every = 1;
  Record<> record{};

  bool on_step(const Update& update) {
    if (detail::is_due(update.step - 1, every)) record.emplace_back(update.step - 1, schedule(update.step - 1));
    return false;
  }
};

}  // namespace fieldstep::train
