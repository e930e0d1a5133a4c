#pragma once
#include <fieldstep/io/tensor_file.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

/// Whole parts of a path that the frameworks call differently: # stands for a number, * for any part.
struct PathRule {
  std::string_view torch, flax;
};

/// Parameters whose last part or axes differ: their PyTorch key ends in `ending` and has as many axes as `axes`; Flax
/// writes `leaf` in place of the key's last part. `flipped`: Flax holds its first two axes in reverse order.
struct KeyRule {
  std::string_view ending, leaf;
  AxisOrder axes;
  bool flipped = false;
};

namespace detail {

/// MPP's AViT and its Flax port jax_mpp. Everything else has the same name and axes in both.
inline constexpr std::array mpp_path_rules{PathRule{"*.#", "*_#"}};  // members of a list: in_proj_0
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

/// Poseidon's ScOT and its Flax port jax_poseidon, which counts the decoder's stages and blocks from the end (mirrored
/// below), has a module in each unconditioned norm, and keeps the statistics of batch norms in another collection.
inline constexpr std::array poseidon_path_rules{
    PathRule{"layers.#", "layer_#"},
    PathRule{"blocks.#", "block_#"},
    PathRule{"residual_blocks.#.#", "residual_block_#/block_#"},
    PathRule{"attention.output.dense", "attention/proj"},
    PathRule{"attention.self.continuous_position_bias_mlp.0", "attention/relative_position_bias/cpb_mlp_0"},
    PathRule{"attention.self.continuous_position_bias_mlp.2", "attention/relative_position_bias/cpb_mlp_1"},
    PathRule{"attention.self", "attention"},
};
inline constexpr std::array poseidon_key_rules{
    KeyRule{"patch_recovery.projection.weight", "kernel", {2, 3, 0, 1}, true},  // transposed convolution: IOHW -> HWIO
    KeyRule{"weight", "kernel", {2, 3, 1, 0}},                                  // convolution: OIHW -> HWIO
    KeyRule{"weight", "kernel", {1, 0}},                                        // linear
    KeyRule{"norm.weight", "LayerNorm_0/scale", {0}},
    KeyRule{"norm.bias", "LayerNorm_0/bias", {0}},
    KeyRule{"layernorm_before.weight", "LayerNorm_0/scale", {0}},
    KeyRule{"layernorm_before.bias", "LayerNorm_0/bias", {0}},
    KeyRule{"layernorm_after.weight", "LayerNorm_0/scale", {0}},
    KeyRule{"layernorm_after.bias", "LayerNorm_0/bias", {0}},
    KeyRule{"bn#.weight", "scale", {0}},
    KeyRule{"bn#.running_mean", "mean", {0}},
    KeyRule{"bn#.running_var", "var", {0}},
};

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Whether `key` ends in `ending` (# stands for a number), which begins with a whole part of the key.
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

/// Matches the beginning of `path` with `pattern`, to the end of a part. Returns what stood for # and * in turn and, as
/// the last, what follows; nothing if the path begins otherwise.
inline std::optional<std::vector<std::string_view>> match(std::string_view path, std::string_view pattern,
                                                          char separator) {
  std::vector<std::string_view> captured;
  while (!pattern.empty()) {
    const char wanted = pattern.front();
    pattern.remove_prefix(1);
    std::size_t length = 0;
    if (wanted == '#') {
      length = std::min(path.find_first_not_of("0123456789"), path.size());
    } else if (wanted == '*') {
      length = std::min(path.find(separator), path.size());
      if (pattern.starts_with('_')) length = path.substr(0, length).find_last_not_of("0123456789");  // *_#
      if (length > path.size()) return std::nullopt;
    } else if (!path.starts_with(wanted)) {
      return std::nullopt;
    } else {
      path.remove_prefix(1);
      continue;
    }
    if (length == 0) return std::nullopt;
    captured.push_back(path.substr(0, length));
    path.remove_prefix(length);
  }
  if (!path.empty() && path.front() != separator) return std::nullopt;
  captured.push_back(path);
  return captured;
}

/// The path with the first rule that fits at each part applied, and the other framework's separator.
inline std::string rename(std::string_view path, std::span<const PathRule> rules, bool to_flax) {
  const char from = to_flax ? '.' : '/', to = to_flax ? '/' : '.';
  std::string renamed;
  while (!path.empty()) {
    if (!renamed.empty()) renamed += to;
    std::size_t used = std::min(path.find(from), path.size());
    std::string part(path.substr(0, used));
    for (const PathRule& rule : rules) {
      const auto captured = match(path, to_flax ? rule.torch : rule.flax, from);
      if (!captured) continue;
      part.clear();
      auto next = captured->begin();
      for (const char c : to_flax ? rule.flax : rule.torch) c == '#' || c == '*' ? part += * next++ : part += c;
      used = path.size() - captured->back().size();
      break;
    }
    renamed += part;
    path.remove_prefix(std::min(used + 1, path.size()));
  }
  return renamed;
}

/// Axis `axis` backwards.
inline void flip(StoredTensor& tensor, std::size_t axis) {
  if (tensor.shape[axis] < 2) return;
  const std::int64_t last = (tensor.shape[axis] - 1) * tensor.stride[axis];
  if (tensor.data != nullptr) tensor.data += last * static_cast<std::int64_t>(item_size(tensor.dtype));
  tensor.stride[axis] = -tensor.stride[axis];
}

inline std::int64_t number(std::string_view digits) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() ? value : max_extent;
}

}  // namespace detail

/// What a PyTorch module stores beside its parameters and no forward pass reads from a file: tables that every model
/// computes by itself, the number of batches seen. Flax has no such thing.
inline bool is_unread_buffer(std::string_view key) {
  return key.ends_with("relative_position_index") || key.ends_with("relative_coords_table") ||
         key.ends_with("num_batches_tracked");
}

/// Renames and turns the tensors of one network. Which rules hold, and how deep the network is, is told by all its
/// names together, of either framework.
class KeyMap {
 public:
  explicit KeyMap(std::span<const std::string_view> names) {
    for (const std::string_view name : names) {
      const std::string_view path = within_collection(name);
      if (path.starts_with("encoder.layers.")) {
        count_block(path);
      } else if (path.starts_with("encoder/layer_")) {
        count_block(detail::rename(path, detail::poseidon_path_rules, false));
      }
    }
    if (depths_.empty()) return;
    paths_ = detail::poseidon_path_rules;
    keys_ = detail::poseidon_key_rules;
  }

  /// The tensor under its Flax name and with Flax's axes: params/blocks_0/spatial/mlp/fc1/kernel. A view, nothing
  /// moves.
  StoredTensor flax_view(const StoredTensor& torch) const {
    StoredTensor flax = torch;
    flax.name = detail::rename(mirrored(torch.name, true), paths_, true);
    const KeyRule* rule = nullptr;
    for (const KeyRule& r : keys_)
      if (rule == nullptr && r.axes.rank == torch.shape.size() && detail::ends_in(torch.name, r.ending)) rule = &r;
    if (rule != nullptr) {
      flax.name.replace(flax.name.rfind('/') + 1, flax.name.npos, rule->leaf);
      for (std::size_t axis = 0; axis < rule->axes.rank; ++axis) {
        flax.shape[axis] = torch.shape[rule->axes.at[axis]];
        flax.stride[axis] = torch.stride[rule->axes.at[axis]];
      }
      if (rule->flipped) detail::flip(flax, 0), detail::flip(flax, 1);
    }
    const bool statistic = rule != nullptr && (rule->leaf == "mean" || rule->leaf == "var");
    flax.name.insert(0, statistic ? "batch_stats/" : "params/");
    return flax;
  }

  /// The inverse. jax_mpp's own converter leaves some tensors with PyTorch's axes: those of a continuous position bias,
  /// still called `weight`, and out_kernel of a checkpoint whose `module.` prefix it did not strip.
  StoredTensor torch_view(const StoredTensor& flax) const {
    std::string_view path = within_collection(flax.name);
    const bool unconverted = path.starts_with("module/");
    if (unconverted) path.remove_prefix(7);

    StoredTensor torch = flax;
    for (const KeyRule& rule : keys_) {
      if (rule.axes.rank != flax.shape.size() || !path.ends_with(rule.leaf)) continue;
      const std::string_view stem = path.substr(0, path.size() - rule.leaf.size());
      if (!stem.ends_with('/') || (unconverted && rule.leaf == "out_kernel")) continue;
      const std::string_view last = rule.ending.substr(rule.ending.rfind('.') + 1);
      torch.name = detail::rename(std::string(stem).append(last), paths_, false);
      if (!detail::ends_in(torch.name, rule.ending)) continue;
      torch.name = mirrored(torch.name, false);
      StoredTensor turned = flax;
      if (rule.flipped) detail::flip(turned, 0), detail::flip(turned, 1);
      torch.data = turned.data;
      for (std::size_t axis = 0; axis < rule.axes.rank; ++axis) {
        torch.shape[rule.axes.at[axis]] = turned.shape[axis];
        torch.stride[rule.axes.at[axis]] = turned.stride[axis];
      }
      return torch;
    }
    for (const std::string_view leaf : {"kernel", "scale", "embedding", "mean", "var"})
      if (path.ends_with(leaf) && path.substr(0, path.size() - leaf.size()).ends_with('/'))
        fail("tensor ", printable(flax.name), " of shape ", shape_text(flax.shape), " has no counterpart in PyTorch");
    torch.name = mirrored(detail::rename(path, paths_, false), false);
    return torch;
  }

 private:
  static std::string_view within_collection(std::string_view name) {
    for (const std::string_view collection : {"params/", "batch_stats/"})
      while (name.starts_with(collection)) name.remove_prefix(collection.size());
    return name;
  }

  void count_block(std::string_view torch_key) {
    const auto block = detail::match(torch_key, "encoder.layers.#.blocks.#", '.');
    if (!block) return;
    const std::int64_t stage = detail::number((*block)[0]), index = detail::number((*block)[1]);
    constexpr std::int64_t most = 4096;
    if (stage >= most || index >= most) fail("tensor ", printable(torch_key), ": no network is that deep");
    if (depths_.size() <= static_cast<std::size_t>(stage)) depths_.resize(static_cast<std::size_t>(stage) + 1);
    std::int64_t& depth = depths_[static_cast<std::size_t>(stage)];
    depth = std::max(depth, index + 1);
  }

  /// Stages and blocks of the decoder counted from the other end; its stages are as deep as the encoder's.
  std::string mirrored(std::string_view torch_key, bool to_flax) const {
    const auto in_stage = detail::match(torch_key, "decoder.layers.#", '.');
    if (!in_stage || depths_.empty()) return std::string(torch_key);
    const auto stages = static_cast<std::int64_t>(depths_.size());
    const std::int64_t stage = detail::number((*in_stage)[0]), other = stages - 1 - stage;
    if (other < 0) fail("tensor ", printable(torch_key), ": the encoder has ", stages, " stages");
    std::string key = "decoder.layers." + std::to_string(other);
    const auto in_block = detail::match(torch_key, "decoder.layers.#.blocks.#", '.');
    if (!in_block) return key.append(in_stage->back());
    const std::int64_t depth = depths_[static_cast<std::size_t>(to_flax ? other : stage)];
    const std::int64_t block = detail::number((*in_block)[1]);
    if (block >= depth) fail("tensor ", printable(torch_key), ": that stage of the encoder has ", depth, " blocks");
    return key.append(".blocks.").append(std::to_string(depth - 1 - block)).append(in_block->back());
  }

  std::span<const PathRule> paths_ = detail::mpp_path_rules;
  std::span<const KeyRule> keys_ = detail::mpp_key_rules;
  std::vector<std::int64_t> depths_{};  ///< ScOT: blocks of each stage of the encoder; empty: AViT
};

/// The rules for the tensors of a file, or for those that a writer announces.
KeyMap key_map(const auto& tensors) {
  std::vector<std::string_view> names;
  for (const auto& tensor : tensors) names.push_back(tensor.name);
  return KeyMap(names);
}

/// Gives the tensors of a Flax tree PyTorch's names and axes and drops what lies under neither params/ nor batch_stats/
/// (an optimizer's state). Other files stay as they are.
inline void name_as_torch(TensorFile& file) {
  const auto in = [](std::string_view collection) {
    return [=](const StoredTensor& tensor) { return tensor.name.starts_with(collection); };
  };
  if (std::ranges::none_of(file.tensors, in("params/"))) return;
  std::erase_if(file.tensors, [&](const StoredTensor& t) { return !in("params/")(t) && !in("batch_stats/")(t); });
  const KeyMap keys = key_map(file.tensors);
  for (StoredTensor& tensor : file.tensors) tensor = keys.torch_view(tensor);
  check_names(file);
}

}  // namespace fieldstep::io
