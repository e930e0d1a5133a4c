#pragma once
#include <fieldstep/io/json.hpp>
#include <fieldstep/io/recognise.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldstep::io {

/// What config.json of a Hugging Face folder says of a ScOT, under the original's names (scOT/model.py, ScOTConfig) and
/// with its defaults for what is absent.
struct ScotConfig {
  std::int64_t image_size = 224, patch_size = 4, num_channels = 3, num_out_channels = 1, embed_dim = 96,
               window_size = 7, p = 1;
  std::vector<std::int64_t> depths{2, 2, 6, 2}, num_heads{3, 6, 12, 24};
  std::vector<std::int64_t> skip_connections{1, 1, 1};  ///< blocks on the skip of each stage; true counts as 1
  std::vector<std::int64_t> channel_slice_list_normalized_loss{};
  double mlp_ratio = 4, hidden_dropout_prob = 0, attention_probs_dropout_prob = 0, drop_path_rate = .1,
         layer_norm_eps = 1e-5;
  bool qkv_bias = true, use_absolute_embeddings = false, use_conditioning = false, learn_residual = false;
  std::string residual_model = "convnext", hidden_act = "gelu";
};

namespace detail {

/// Takes the keys of ScotConfig out of a JSON text and passes over all others.
class ScotConfigReader {
 public:
  ScotConfig config{};

  void scalar(const JsonPath& path, JsonScalar& value) {
    if (path.empty()) fail("is no JSON object");
    if (path.size() == 1) set(path[0], value);
    if (path.size() == 2 && path[1].empty())
      if (auto* list = find(lists, path[0])) {
        if (list->size() == most_stages) refuse(path[0], "a longer list", "at most " + std::to_string(most_stages));
        list->push_back(std::holds_alternative<bool>(value) ? std::get<bool>(value) : whole(path[0], value));
      }
  }
  void open(const JsonPath& path, char kind) {
    if (path.empty() && kind != '{') fail("is no JSON object");
    if (path.size() == 2 && path[1].empty() && find(lists, path[0]) != nullptr)
      refuse(path[0], "a list of lists", "whole numbers");
    if (path.size() != 1) return;
    if (auto* list = find(lists, path[0]); list != nullptr && kind == '[') return list->clear();
    if (is_known(path[0])) refuse(path[0], kind == '[' ? "a list" : "an object", wanted(path[0]));
  }
  void close(const JsonPath&, char) {}

 private:
  static constexpr std::size_t most_stages = 16;
  template <class T, std::size_t N>
  using Keys = std::array<std::pair<std::string_view, T ScotConfig::*>, N>;

  static constexpr Keys<std::int64_t, 7> sizes{{{"image_size", &ScotConfig::image_size},
                                                {"patch_size", &ScotConfig::patch_size},
                                                {"num_channels", &ScotConfig::num_channels},
                                                {"num_out_channels", &ScotConfig::num_out_channels},
                                                {"embed_dim", &ScotConfig::embed_dim},
                                                {"window_size", &ScotConfig::window_size},
                                                {"p", &ScotConfig::p}}};
  static constexpr Keys<std::vector<std::int64_t>, 4> lists{
      {{"depths", &ScotConfig::depths},
       {"num_heads", &ScotConfig::num_heads},
       {"skip_connections", &ScotConfig::skip_connections},
       {"channel_slice_list_normalized_loss", &ScotConfig::channel_slice_list_normalized_loss}}};
  static constexpr Keys<double, 5> numbers{{{"mlp_ratio", &ScotConfig::mlp_ratio},
                                            {"hidden_dropout_prob", &ScotConfig::hidden_dropout_prob},
                                            {"attention_probs_dropout_prob", &ScotConfig::attention_probs_dropout_prob},
                                            {"drop_path_rate", &ScotConfig::drop_path_rate},
                                            {"layer_norm_eps", &ScotConfig::layer_norm_eps}}};
  static constexpr Keys<bool, 4> flags{{{"qkv_bias", &ScotConfig::qkv_bias},
                                        {"use_absolute_embeddings", &ScotConfig::use_absolute_embeddings},
                                        {"use_conditioning", &ScotConfig::use_conditioning},
                                        {"learn_residual", &ScotConfig::learn_residual}}};
  static constexpr Keys<std::string, 2> texts{
      {{"residual_model", &ScotConfig::residual_model}, {"hidden_act", &ScotConfig::hidden_act}}};

  template <class T, std::size_t N>
  T* find(const Keys<T, N>& keys, std::string_view name) {
    for (const auto& [key, member] : keys)
      if (key == name) return &(config.*member);
    return nullptr;
  }
  bool is_known(std::string_view key) { return !wanted(key).empty(); }
  std::string_view wanted(std::string_view key) {
    if (find(sizes, key)) return "a whole number";
    if (find(lists, key)) return "a list of whole numbers";
    if (find(numbers, key)) return "a number";
    if (find(flags, key)) return "true or false";
    return find(texts, key) ? "a text" : "";
  }
  [[noreturn]] static void refuse(std::string_view key, std::string_view found, std::string_view what) {
    fail(key, ": found ", found, ", wanted ", what);
  }
  static std::string shown(const JsonScalar& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return printable(*text);
    if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
    if (const auto* n = std::get_if<std::uint64_t>(&value)) return std::to_string(*n);
    if (const auto* n = std::get_if<std::int64_t>(&value)) return std::to_string(*n);
    if (const auto* x = std::get_if<double>(&value)) return std::to_string(*x);
    return "null";
  }
  static std::int64_t whole(std::string_view key, const JsonScalar& value) {
    constexpr std::uint64_t most = 1 << 20;
    const auto* n = std::get_if<std::uint64_t>(&value);
    if (n == nullptr || *n > most) refuse(key, shown(value), "a whole number up to " + std::to_string(most));
    return static_cast<std::int64_t>(*n);
  }
  static double number(std::string_view key, const JsonScalar& value) {
    if (const auto* x = std::get_if<double>(&value)) return *x;
    if (const auto* n = std::get_if<std::uint64_t>(&value)) return static_cast<double>(*n);
    refuse(key, shown(value), "a number from 0");
  }

  void set(const std::string& key, JsonScalar& value) {
    if (auto* size = find(sizes, key)) *size = whole(key, value);
    if (auto* list = find(lists, key)) {
      if (!std::holds_alternative<std::nullptr_t>(value)) refuse(key, shown(value), wanted(key));
      list->clear();
    }
    if (auto* x = find(numbers, key)) *x = number(key, value);
    if (auto* flag = find(flags, key)) {
      if (!std::holds_alternative<bool>(value)) refuse(key, shown(value), wanted(key));
      *flag = std::get<bool>(value);
    }
    if (auto* text = find(texts, key)) {
      if (!std::holds_alternative<std::string>(value)) refuse(key, shown(value), wanted(key));
      *text = std::get<std::string>(value);
    }
  }
};

}  // namespace detail

/// The configuration that the text of a config.json describes; keys it does not know are ignored, as the original does.
/// Throws Error where a key has a value of the wrong type, or values that no ScOT can have together.
inline ScotConfig parse_scot_config(std::string_view text) {
  detail::ScotConfigReader reader;
  walk_json(text, reader);
  ScotConfig config = std::move(reader.config);
  config.learn_residual = config.learn_residual && config.use_conditioning;
  const auto positive = [](std::string_view key, std::int64_t n) {
    if (n < 1) fail(key, ": found ", n, ", wanted at least 1");
  };
  positive("image_size", config.image_size);
  positive("patch_size", config.patch_size);
  positive("num_channels", config.num_channels);
  positive("num_out_channels", config.num_out_channels);
  positive("embed_dim", config.embed_dim);
  positive("depths", std::ssize(config.depths));
  for (const std::int64_t depth : config.depths) positive("depths", depth);
  if (config.window_size < 2) fail("window_size: found ", config.window_size, ", wanted at least 2");
  const std::int64_t least = 2 * config.patch_size << (config.depths.size() - 1);  // windows of 2x2 tokens everywhere
  if (config.image_size % config.patch_size != 0 || config.image_size < least)
    fail("image_size: found ", config.image_size, ", wanted a multiple of patch_size, ", config.patch_size,
         ", and for ", config.depths.size(), " stages at least ", least);
  for (const auto& [key, list] :
       {std::pair{"num_heads", &config.num_heads}, std::pair{"skip_connections", &config.skip_connections}})
    if (list->size() != config.depths.size())
      fail(key, ": found ", list->size(), " entries, wanted ", config.depths.size(), ", as many as depths");
  for (std::size_t i = 0; i < config.depths.size(); ++i)
    if (config.num_heads[i] < 1 || (config.embed_dim << i) % config.num_heads[i] != 0)
      fail("num_heads: found ", config.num_heads[i], " in stage ", i, ", wanted a divisor of its ",
           config.embed_dim << i, " channels");
  if (config.mlp_ratio * static_cast<double>(config.embed_dim) < 1)
    fail("mlp_ratio: found ", config.mlp_ratio, ", wanted at least one hidden channel");
  if (config.hidden_act != "gelu") fail("hidden_act: found ", printable(config.hidden_act), ", wanted gelu");
  if (config.residual_model != "convnext" && config.residual_model != "resnet")
    fail("residual_model: found ", printable(config.residual_model), ", wanted convnext or resnet");
  return config;
}

/// The network with these sizes, as `recognise` would tell it from its parameters.
inline Recognised recognise(const ScotConfig& config) {
  Recognised r{.family = "poseidon", .variant = {}, .bias = {}};
  r.embed_dim = config.embed_dim;
  r.heads = config.num_heads.front(), r.blocks = config.depths.front();
  r.depths = config.depths, r.num_heads = config.num_heads, r.skip_connections = config.skip_connections;
  r.patch_size = config.patch_size, r.num_channels = config.num_channels, r.num_out_channels = config.num_out_channels;
  const bool skips = std::ranges::any_of(config.skip_connections, [](auto n) { return n > 0; });
  r.residual_model = skips ? config.residual_model : "";
  r.use_conditioning = config.use_conditioning, r.absolute_positions = config.use_absolute_embeddings;
  r.qkv_bias = config.qkv_bias;
  const auto width = static_cast<double>(config.embed_dim);
  r.mlp_ratio = std::floor(config.mlp_ratio * width) / width;
  r.variant = detail::scot_variant(r);
  return r;
}

}  // namespace fieldstep::io
