#pragma once
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/train/callbacks/record.hpp>
#include <fieldstep/train/trainer.hpp>

#include <vector>

namespace fieldstep::train {

/// Keeps a copy of the flat weights before every `every`-th update.
/// Source: trainax.callback.GetNetwork.
template <class Real>
class GetNetwork {
 public:
  GetNetwork(ParamTable table, long every) : table_(table), every_(every) {}

  const Record<std::vector<Real>>& record() const { return record_; }

  void before_step(long i, auto& goal) {
    if (!detail::is_due(i, every_)) return;
    const ParamEntry& last = table_.back();
    record_.emplace_back(i, std::vector<Real>(goal.weights(), goal.weights() + last.offset + last.stored));
  }
  bool on_step(const Update&) { return false; }

 private:
  ParamTable table_;
  long every_;
  Record<std::vector<Real>> record_;
};

}  // namespace fieldstep::train
