#pragma once
#include <fieldstep/train/callbacks/record.hpp>
#include <fieldstep/train/checkpoint.hpp>
#include <fieldstep/train/trainer.hpp>

#include <filesystem>
#include <string>

namespace fieldstep::train {

/// Writes the weights before every `every`-th update i to <folder>/<name>_<i>.safetensors, each whole or not at all.
/// Source: trainax.callback.SaveNetwork, which writes equinox' own format.
struct SaveNetwork {
  ParamTable table;
  long every;
  std::filesystem::path folder;
  std::string name = "network";

  void before_step(long i, auto& goal) {
    if (!detail::is_due(i, every)) return;
    std::filesystem::create_directories(folder);
    save_checkpoint(folder / (name + "_" + std::to_string(i) + ".safetensors"), TrainingState(table, goal.weights()),
                    {});
  }
  bool on_step(const Update&) { return false; }
};

}  // namespace fieldstep::train
