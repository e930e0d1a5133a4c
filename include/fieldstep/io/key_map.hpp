#pragma once
#include <fieldstep/io/tensor_file.hpp>

#include <array>
#include <cctype>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

/// What PyTorch and Flax call the same parameter, and in which order they hold its axes. The rest of the library knows
/// PyTorch's keys and axes only.
namespace fieldstep::io {

/// Axis i of the Flax array is axis at[i] of the PyTorch tensor.
struct AxisOrder {
  std::array<std::size_t, 4> at{};
  std::size_t rank = 0;

  constexpr AxisOrder(std::initializer_list<std::size_t> axes) {
    for (const std::size_t axis : axes) at[rank++] = axis;
  }
};

/// Parameters that differ between the frameworks: their PyTorch key ends in `ending` (# stands for a number) and has as
/// many axes as `axes`; Flax calls the leaf `leaf`.
struct KeyRule {
  std::string_view ending, leaf;
  AxisOrder axes;
};
using KeyMap = std::span<const KeyRule>;

/// MPP's AViT and its Flax port jax_mpp. Everything else has the same name and axes in both.
inline constexpr std::array mpp_key_rules{
    KeyRule{"in_proj.#.weight", "kernel", {2, 3, 1, 0}},   // convolution: OIHW -> HWIO
    KeyRule{"out_proj.#.weight", "kernel", {2, 3, 1, 0}},  // transposed convolution: IOHW -> HWOI
    KeyRule{"input_head.weight", "kernel", {2, 3, 1, 0}},  // 1 x 1 convolution
    KeyRule{"output_head.weight", "kernel", {2, 3, 1, 0}},
    KeyRule{"debed.out_kernel", "out_kernel", {1, 0, 2, 3}},
    KeyRule{"mlp.fc1.weight", "kernel", {1, 0}},  // linear: (out, in) -> (in, out)
    KeyRule{"mlp.fc2.weight", "kernel", {1, 0}},
    KeyRule{"cpb_mlp.#.weight", "kernel", {1, 0}},
    KeyRule{"relative_attention_bias.weight", "embedding", {0, 1}},
    KeyRule{"qnorm.weight", "scale", {0}},
    KeyRule{"knorm.weight", "scale", {0}},
};
inline constexpr KeyMap mpp_keys = mpp_key_rules;

namespace detail {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Whether `key` ends in `ending`, which begins with a whole part of the key.
constexpr bool ends_in(std::string_view key, std::string_view ending) {
  while (!ending.empty()) {
    if (key.empty()) return false;
    if (ending.back() == '#') {
      if (!is_digit(key.back())) return false;
      while (!key.empty() && is_digit(key.back())) key.remove_suffix(1);
    } else {
      if (key.back() != ending.back()) return false;
      key.remove_suffix(1);
    }
    ending.remove_suffix(1);
  }
  return key.empty() || key.back() == '.';
}

inline const KeyRule* rule_for(KeyMap rules, std::string_view key, std::size_t rank) {
  for (const KeyRule& rule : rules)
    if (rule.axes.rank == rank && ends_in(key, rule.ending)) return &rule;
  return nullptr;
}

}  // namespace detail

/// The tensor under its Flax name and with Flax's axes: params/blocks_0/spatial/mlp/fc1/kernel. A view, nothing moves.
inline StoredTensor flax_view(const StoredTensor& torch, KeyMap rules) {
  const KeyRule* rule = detail::rule_for(rules, torch.name, torch.shape.size());
  StoredTensor flax = torch;
  flax.name = "params/";
  for (std::size_t i = 0; i < torch.name.size(); ++i) {
    const bool before_number = i + 1 < torch.name.size() && detail::is_digit(torch.name[i + 1]);
    flax.name += torch.name[i] != '.' ? torch.name[i] : before_number ? '_' : '/';  // members of a list: in_proj_0
  }
  if (rule == nullptr) return flax;
  flax.name.replace(flax.name.rfind('/') + 1, flax.name.npos, rule->leaf);
  for (std::size_t axis = 0; axis < rule->axes.rank; ++axis) {
    flax.shape[axis] = torch.shape[rule->axes.at[axis]];
    flax.stride[axis] = torch.stride[rule->axes.at[axis]];
  }
  return flax;
}

/// The inverse. jax_mpp's own converter leaves some tensors with PyTorch's axes: those of a continuous position bias,
/// still called `weight`, and out_kernel of a checkpoint whose `module.` prefix it did not strip.
inline StoredTensor torch_view(const StoredTensor& flax, KeyMap rules) {
  std::string_view path = flax.name;
  while (path.starts_with("params/")) path.remove_prefix(7);
  const bool unconverted = path.starts_with("module/");
  if (unconverted) path.remove_prefix(7);

  StoredTensor torch = flax;
  torch.name.clear();
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    std::string part(path.substr(at, end - at));
    const std::size_t number = part.find_last_not_of("0123456789") + 1;
    if (number > 1 && number < part.size() && part[number - 1] == '_') part[number - 1] = '.';
    torch.name += (torch.name.empty() ? "" : ".") + part;
    at = end + 1;
  }
  const std::string leaf = torch.name.substr(torch.name.rfind('.') + 1);
  if (leaf == "kernel" || leaf == "scale" || leaf == "embedding")
    torch.name.replace(torch.name.size() - leaf.size(), leaf.size(), "weight");

  const KeyRule* rule = detail::rule_for(rules, torch.name, torch.shape.size());
  if (rule == nullptr || leaf != rule->leaf || (unconverted && leaf == "out_kernel")) return torch;
  for (std::size_t axis = 0; axis < rule->axes.rank; ++axis) {
    torch.shape[rule->axes.at[axis]] = flax.shape[axis];
    torch.stride[rule->axes.at[axis]] = flax.stride[axis];
  }
  return torch;
}

/// Gives the tensors of a Flax tree PyTorch's names and axes and drops what does not lie under params/ (an optimizer's
/// state). Other files stay as they are.
inline void name_as_torch(TensorFile& file, KeyMap rules) {
  const auto is_param = [](const StoredTensor& tensor) { return tensor.name.starts_with("params/"); };
  if (std::ranges::none_of(file.tensors, is_param)) return;
  std::erase_if(file.tensors, [&](const StoredTensor& tensor) { return !is_param(tensor); });
  for (StoredTensor& tensor : file.tensors) tensor = torch_view(tensor, rules);
  check_names(file);
}

}  // namespace fieldstep::io
