#pragma once
#include <fieldstep/train/callbacks/record.hpp>
#include <fieldstep/train/clip.hpp>
#include <fieldstep/train/configuration/concept.hpp>
#include <fieldstep/train/trainer.hpp>

#include <optional>

namespace fieldstep::train {

/// Notes the 2-norm, or its square, of a configuration's gradient on the minibatch, before every `every`-th update.
///   Goal: the RolloutObjective that is trained
/// Source: trainax.callback.GradNorm.
template <Configuration C, class Goal>
class GradNorm {
 public:
  GradNorm(const C& configuration, const ParameterGroups& groups, long every, bool squared = false)
      : configuration_(configuration),
        groups_(groups),
        every_(every),
        squared_(squared),
        partial_(groups.runs().size()) {
    configuration_.check();
  }

  const Record<>& record() const { return record_; }

  void before_step(long i, Goal& goal) {
    if (!detail::is_due(i, every_)) return;
    if (!rollout_) rollout_.emplace(goal.make_rollout(configuration_));
    goal.clear_gradient();
    rollout_->add_gradient(configuration_, goal.windows(i));
    const double norm = global_norm(Kokkos::DefaultHostExecutionSpace(), groups_, goal.gradient(), partial_.data());
    record_.emplace_back(i, squared_ ? norm * norm : norm);
  }
  bool on_step(const Update&) { return false; }

 private:
  C configuration_;
  ParameterGroups groups_;
  long every_;
  bool squared_;
  std::optional<typename Goal::Memory> rollout_;
  Arena<double> partial_;  // scratch
  Record<> record_;
};

}  // namespace fieldstep::train
