#pragma once
#include <fieldstep/train/parameter_groups.hpp>

#include <optional>
#include <string_view>

// Which parameters the original trainers treat differently: rules for ParameterGroups.
namespace fieldstep::train {

/// MPP: weight decay where the shape without its extents of 1 is a matrix or more. Position tables decay, unless there
/// is one head; norms, biases and layer scales do not.
/// Source: add_weight_decay of MPP's train_basic.py.
inline ParameterOptions mpp_weight_decay(const ParamEntry& entry) {
  const auto wide = std::ranges::count_if(entry.shape(), [](int extent) { return extent > 1; });
  return {.decay = wide >= 2 ? 1. : 0.};
}

/// MPP's fine-tuning: only the projections to and from physical fields are trained.
/// Source: AViT.freeze_middle; where a configuration asks for both, it wins over freeze_processor.
inline ParameterOptions freeze_middle(const ParamEntry& entry) {
  const std::string_view path = entry.path;
  return {.frozen = !path.starts_with("space_bag.") && path != "debed.out_kernel" && path != "debed.out_bias"};
}

/// MPP's fine-tuning: the projections, the stem and the output are trained, the blocks are not.
/// Source: AViT.freeze_processor.
inline ParameterOptions freeze_processor(const ParamEntry& entry) {
  const std::string_view path = entry.path;
  return {.frozen = !path.starts_with("space_bag.") && !path.starts_with("debed.") && !path.starts_with("embed.")};
}

/// Poseidon's groups, the first that fits:
///   embeddings and patch_recovery, biases and norms included   own rate, decay
///   decaying by name                                           decay
///   weights and biases of conditional norms                    own rate
///   the rest
/// Rates that are not given make no group. By name decays what stands in no (conditional) layer norm and has no "bias"
/// in its path: not the MLP of the position bias, but temperatures, layer scales and batch norms.
/// Source: Trainer.create_optimizer of Poseidon's scOT/trainer.py.
struct PoseidonGroups {
  double learning_rate = 5e-5;  ///< what the schedule's is
  std::optional<double> embedding_recovery = std::nullopt, time_embedding = std::nullopt;

  ParameterOptions operator()(const ParamEntry& entry) const {
    const std::string_view path = entry.path;
    const auto has = [](std::string_view text, std::string_view part) { return text.find(part) != text.npos; };
    if (embedding_recovery && (has(path, "embeddings") || has(path, "patch_recovery")))
      return {.rate = *embedding_recovery / learning_rate};
    const std::string_view in_norm = behind_norm(path);
    if (in_norm.empty() && !has(path, "bias")) return {};
    const bool conditional = has(in_norm, ".");  // weight.weight, weight.bias, ...: linear in the lead time
    return {.rate = time_embedding && conditional ? *time_embedding / learning_rate : 1, .decay = 0};
  }

 private:
  /// What follows the name of a layer norm, `norm`, `layernorm_before` or `layernorm_after`; empty where there is none.
  static std::string_view behind_norm(std::string_view path) {
    while (!path.empty()) {
      const std::size_t dot = std::min(path.find('.'), path.size());
      const std::string_view part = path.substr(0, dot);
      path.remove_prefix(std::min(dot + 1, path.size()));
      if (part == "norm" || part.starts_with("layernorm_")) return path;
    }
    return {};
  }
};

}  // namespace fieldstep::train
