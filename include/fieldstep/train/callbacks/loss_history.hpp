#pragma once
#include <fieldstep/train/callbacks/record.hpp>
#include <fieldstep/train/trainer.hpp>

namespace fieldstep::train {

/// Notes every `every`-th loss, that of the first update included: of the minibatch, with the weights before the
/// update. Source: trainax' loss_history with record_loss_every.
struct LossHistory {
  long every = 1;
  Record<> record{};

  bool on_step(const Update& update) {
    if (detail::is_due(update.step - 1, every)) record.emplace_back(update.step - 1, update.loss);
    return false;
  }
};

}  // namespace fieldstep::train
