#pragma once
#include <fieldstep/train/callbacks/record.hpp>
#include <fieldstep/train/clip.hpp>
#include <fieldstep/train/trainer.hpp>

namespace fieldstep::train {

/// Notes the 2-norm, or its square, of all weights that are trained, before every `every`-th update.
/// Source: trainax.callback.WeightNorm.
class WeightNorm {
 public:
  WeightNorm(const ParameterGroups& groups, long every, bool squared = false)
      : groups_(groups), every_(every), squared_(squared), partial_(groups.runs().size()) {}

  const Record<>& record() const { return record_; }

  void before_step(long i, auto& goal) {
    if (!detail::is_due(i, every_)) return;
    const double norm = global_norm(Kokkos::DefaultHostExecutionSpace(), groups_, goal.weights(), partial_.data());
    record_.emplace_back(i, squared_ ? norm * norm : norm);
  }
  bool on_step(const Update&) { return false; }

 private:
  ParameterGroups groups_;
  long every_;
  bool squared_;
  Arena<double> partial_;  // scratch
  Record<> record_;
};

}  // namespace fieldstep::train
