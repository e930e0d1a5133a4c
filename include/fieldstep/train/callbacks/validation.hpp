#pragma once
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/train/best_so_far.hpp>
#include <fieldstep/train/callbacks/record.hpp>
#include <fieldstep/train/trainer.hpp>

#include <algorithm>
#include <vector>

namespace fieldstep::train {

struct ValidationOptions {
  long every = 100;
  long patience = 0;  ///< validations without improvement that end the run; 0: it goes on
};

/// After every `every`-th update the objective on data that is not trained on, with the same stepper: notes its value,
/// keeps a copy of the best weights, and ends the run when `patience` validations in a row were not better.
///   Held: a RolloutObjective on the validation data
template <class Held>
class Validation {
 public:
  using Real = typename Held::Real;
  Validation(Held& held, const ValidationOptions& options) : held_(held), options_(options) {}

  const Record<>& record() const { return record_; }
  const BestSoFar& best() const { return best_; }
  const std::vector<Real>& best_weights() const { return best_weights_; }  ///< flat, as the stepper's

  bool on_step(const Update& update) {
    if (update.step % options_.every != 0) return false;
    const double value = held_.full_value();
    record_.emplace_back(update.step, value);
    if (best_.improved(value, update.step)) {
      const ParamTable table = held_.stepper().table();
      best_weights_.assign(held_.weights(), held_.weights() + table.back().offset + table.back().stored);
    }
    return options_.patience > 0 && best_.since >= options_.patience;
  }

  void visit(const auto& show) { best_.visit(show); }

 private:
  Held& held_;
  ValidationOptions options_;
  Record<> record_;
  BestSoFar best_;
  std::vector<Real> best_weights_;
};

}  // namespace fieldstep::train
