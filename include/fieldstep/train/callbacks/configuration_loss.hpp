#pragma once
#include <fieldstep/train/callbacks/record.hpp>
#include <fieldstep/train/configuration/concept.hpp>
#include <fieldstep/train/trainer.hpp>

#include <optional>

namespace fieldstep::train {

/// Notes what another configuration than the one that is trained gives on the minibatch, before every `every`-th
/// update. Memory: another rollout, made at the first one.
///   Goal: the RolloutObjective that is trained
/// Source: trainax.callback.Loss.
template <Configuration C, class Goal>
class ConfigurationLoss {
 public:
  ConfigurationLoss(const C& configuration, long every) : configuration_(configuration), every_(every) {
    configuration_.check();
  }

  const Record<>& record() const { return record_; }

  void before_step(long i, Goal& goal) {
    if (!detail::is_due(i, every_)) return;
    if (!rollout_) rollout_.emplace(goal.make_rollout(configuration_));
    record_.emplace_back(i, rollout_->value(configuration_, goal.windows(i)));
  }
  bool on_step(const Update&) { return false; }

 private:
  C configuration_;
  long every_;
  std::optional<typename Goal::Memory> rollout_;
  Record<> record_;
};

}  // namespace fieldstep::train
