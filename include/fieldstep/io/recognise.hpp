#pragma once
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/io/tensor_file.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

/// Which network a set of named shapes belongs to: what a message can say about weights that do not fit.
namespace fieldstep::io {

struct NamedShape {
  std::string_view name;
  Extents shape;
};

inline std::vector<NamedShape> named_shapes(const TensorFile& file) {
  std::vector<NamedShape> shapes;
  for (const StoredTensor& tensor : file.tensors) shapes.push_back({tensor.name, tensor.shape});
  return shapes;
}
inline std::vector<NamedShape> named_shapes(ParamTable table) {
  std::vector<NamedShape> shapes;
  for (const ParamEntry& entry : table) shapes.push_back({entry.path, {entry.shape().begin(), entry.shape().end()}});
  return shapes;
}

/// Sizes are 0 where the family has none such or the shapes do not tell. Two networks have the same text() if their
/// parameters have the same names and shapes.
struct Recognised {
  std::string family;   ///< mpp, poseidon, conv, tidhy; empty: unknown
  std::string variant;  ///< of the published ones; empty: another size
  std::string bias;     ///< mpp: rel, continuous, none
  std::int64_t embed_dim = 0, heads = 0, blocks = 0, states = 0;

  /// conv: a stack of 2-D convolutions, or residual blocks of them, then blocks; the shapes do not tell its activation
  /// and padding. embed_dim: hidden channels.
  std::int64_t layers = 0, kernel = 0;

  /// poseidon: one entry a stage, as in config.json.
  std::vector<std::int64_t> depths{}, num_heads{}, skip_connections{};
  std::int64_t patch_size = 0, num_channels = 0, num_out_channels = 0;
  std::string residual_model{};  ///< convnext, resnet; empty: no skip has a block
  bool use_conditioning = false, absolute_positions = false, qkv_bias = true, mask_token = false;
  double mlp_ratio = 4;

  /// tidhy: R, Q, M, D, H; beside them what else its parameters tell.
  std::array<std::int64_t, 5> latents{};
  std::string options{};

  /// "AViT-S (embed_dim 384, 6 heads, 12 blocks, 12 states, rel bias)"
  /// "Poseidon ScOT-T (embed_dim 48, depths 4,4,4,4, heads 3,6,12,24, skip blocks 2,2,2,0, patch 4, channels 4 -> 4)"
  std::string text() const {
    if (family.empty()) return "an unknown network";
    std::ostringstream text;
    if (family == "tidhy") {
      text << "TiDHy (R " << latents[0] << ", Q " << latents[1] << ", M " << latents[2] << ", D " << latents[3]
           << ", H " << latents[4] << options << ")";
      return text.str();
    }
    if (family == "conv") {
      text << "a convolutional network (" << (blocks > 0 ? blocks : layers)
           << (blocks > 0 ? " residual blocks" : " layers") << ", hidden " << embed_dim << ", kernel " << kernel
           << ", channels " << num_channels << " -> " << num_out_channels << ")";
      return text.str();
    }
    text << (family == "mpp" ? "AViT" : "Poseidon ScOT") << (variant.empty() ? "" : "-") << variant << " (embed_dim "
         << embed_dim;
    if (family == "mpp") {
      text << ", " << heads << " heads, " << blocks << " blocks, " << states << " states, " << bias << " bias";
    } else {
      text << ", depths " << listed(depths) << ", heads " << listed(num_heads) << ", skip blocks "
           << listed(skip_connections) << ", patch " << patch_size << ", channels " << num_channels << " -> "
           << num_out_channels;
      if (residual_model == "resnet") text << ", resnet";
      if (!use_conditioning) text << ", unconditioned";
      if (absolute_positions) text << ", absolute positions";
      if (!qkv_bias) text << ", no qkv bias";
      if (mask_token) text << ", mask token";
      if (mlp_ratio != 4) text << ", mlp ratio " << mlp_ratio;
    }
    text << ")";
    return text.str();
  }

  /// 4,4,4,4
  static std::string listed(const std::vector<std::int64_t>& numbers) {
    std::string text;
    for (const std::int64_t n : numbers) text.append(text.empty() ? "" : ",").append(std::to_string(n));
    return text;
  }
};

namespace detail {

/// One more than the largest i in names that begin with "<list>.i.".
inline std::int64_t list_length(const std::vector<NamedShape>& shapes, std::string_view list) {
  std::int64_t length = 0;
  for (const auto& [name, shape] : shapes) {
    if (!name.starts_with(list) || name.size() <= list.size() || name[list.size()] != '.') continue;
    std::int64_t i = -1;
    std::from_chars(name.data() + list.size() + 1, name.data() + name.size(), i);
    if (i < max_extent) length = std::max(length, i + 1);
  }
  return length;
}

struct Published {
  std::string_view variant;
  std::int64_t embed_dim, heads, blocks;
};
inline constexpr std::array avit_variants{Published{"Ti", 192, 3, 12}, Published{"S", 384, 6, 12},
                                          Published{"B", 768, 12, 12}, Published{"L", 1024, 16, 24}};
/// S is the one of Poseidon's training script.
inline constexpr std::array scot_variants{Published{"T", 48, 3, 4}, Published{"S", 48, 3, 8}, Published{"B", 96, 3, 8},
                                          Published{"L", 192, 3, 8}};

/// In all of them. No vectors made where they are compared: with AVX-512, g++ 12 makes {2, 2, 2, 2} of {2, 2, 2, 0}.
inline constexpr std::array scot_heads{3, 6, 12, 24}, scot_skips{2, 2, 2, 0};

inline std::string published(std::span<const Published> variants, const Recognised& r) {
  for (const Published& v : variants)
    if (v.embed_dim == r.embed_dim && v.heads == r.heads && v.blocks == r.blocks) return std::string(v.variant);
  return {};
}

/// Other channels make no other variant.
inline std::string scot_variant(const Recognised& r) {
  const bool usual = r.depths.size() == 4 && std::ranges::count(r.depths, r.blocks) == 4 &&
                     std::ranges::equal(r.num_heads, scot_heads) &&
                     std::ranges::equal(r.skip_connections, scot_skips) && r.patch_size == 4 &&
                     r.residual_model == "convnext" && r.use_conditioning && !r.absolute_positions && r.qkv_bias &&
                     r.mlp_ratio == 4;
  return usual ? published(scot_variants, r) : "";
}

}  // namespace detail

/// From PyTorch's keys and shapes.
inline Recognised recognise(const std::vector<NamedShape>& shapes) {
  const auto extent = [&](std::string_view name, std::size_t axis) -> std::int64_t {
    const auto found = std::ranges::find(shapes, name, &NamedShape::name);
    return found == shapes.end() || found->shape.size() <= axis ? 0 : found->shape[axis];
  };
  Recognised r;
  if (extent("space_bag.weight", 1) > 0) {
    r.family = "mpp";
    r.states = extent("space_bag.weight", 1);
    r.embed_dim = extent("blocks.0.temporal.gamma", 0);
    r.blocks = detail::list_length(shapes, "blocks");
    const std::string first = "blocks.0.temporal.";
    const std::int64_t bucket_heads = extent(first + "rel_pos_bias.relative_attention_bias.weight", 1);
    const std::int64_t mlp_heads = extent(first + "rel_pos_bias.cpb_mlp.2.weight", 0);
    const std::int64_t head_dim = extent(first + "qnorm.weight", 0);
    r.bias = bucket_heads > 0 ? "rel" : mlp_heads > 0 ? "continuous" : "none";
    r.heads = head_dim > 0 ? r.embed_dim / head_dim : std::max(bucket_heads, mlp_heads);
    r.variant = detail::published(detail::avit_variants, r);
  } else if (extent("embeddings.patch_embeddings.projection.weight", 0) > 0) {
    r.family = "poseidon";
    r.embed_dim = extent("embeddings.patch_embeddings.projection.weight", 0);
    r.patch_size = extent("embeddings.patch_embeddings.projection.weight", 2);
    r.num_channels = extent("embeddings.patch_embeddings.projection.weight", 1);
    r.num_out_channels = extent("patch_recovery.projection.weight", 1);
    r.use_conditioning = extent("embeddings.norm.weight.weight", 0) > 0;
    r.absolute_positions = extent("embeddings.position_embeddings", 1) > 0;
    r.mask_token = extent("embeddings.mask_token", 2) > 0;
    const auto any = [&](std::string_view ending) {
      return std::ranges::any_of(shapes, [=](const NamedShape& s) { return s.name.ends_with(ending); });
    };
    r.qkv_bias = any("attention.self.query.bias") || !any("attention.self.query.weight");
    const std::int64_t hidden = extent("encoder.layers.0.blocks.0.intermediate.dense.weight", 0);
    if (hidden > 0) r.mlp_ratio = static_cast<double>(hidden) / static_cast<double>(r.embed_dim);
    constexpr std::int64_t most_stages = 16;
    const std::int64_t stages = std::min(detail::list_length(shapes, "encoder.layers"), most_stages);
    for (std::int64_t i = 0; i < stages; ++i) {
      const std::string stage = "encoder.layers." + std::to_string(i) + ".blocks";
      r.depths.push_back(detail::list_length(shapes, stage));
      r.num_heads.push_back(extent(stage + ".0.attention.self.logit_scale", 0));
      r.skip_connections.push_back(detail::list_length(shapes, "residual_blocks." + std::to_string(i)));
      const std::string skip = "residual_blocks." + std::to_string(i) + ".0.";
      if (extent(skip + "dwconv.weight", 0) > 0) r.residual_model = "convnext";
      if (extent(skip + "conv1.weight", 0) > 0) r.residual_model = "resnet";
    }
    if (stages > 0) r.heads = r.num_heads[0], r.blocks = r.depths[0];
    r.variant = detail::scot_variant(r);
  } else if (extent("hypernet.dense1.kernel", 1) > 0 && extent("temporal", 1) > 0) {
    r.family = "tidhy";
    const bool nonlinear = extent("spatial_decoder.dense1.kernel", 1) > 0, low_rank = extent("temporal", 2) > 0;
    const std::string first = nonlinear ? "dense1" : "dense", last = nonlinear ? "dense3" : "dense";
    r.latents = {extent("spatial_decoder." + first + ".kernel", 0), extent("hypernet.dense1.kernel", 0),
                 extent("temporal", 0), extent("spatial_decoder." + last + ".kernel", 1),
                 extent("hypernet.dense1.kernel", 1)};
    if (nonlinear) r.options += ", nonlinear decoder";
    if (low_rank) r.options += ", low rank";
    if (extent("temporal_bias", 1) > 0) r.options += ", dynamic bias";
    if (extent("r2_decoder.dense1.kernel", 1) > 0)
      r.options += ", R2 decoder " + std::to_string(extent("r2_decoder.dense1.kernel", 1));
  } else if (extent("layers.0.weight", 3) > 0) {
    r.family = "conv";
    r.layers = detail::list_length(shapes, "layers");
    r.kernel = extent("layers.0.weight", 3);
    r.num_channels = extent("layers.0.weight", 1);
    r.num_out_channels = extent("layers." + std::to_string(r.layers - 1) + ".weight", 0);
    r.embed_dim = extent("layers.0.weight", 0);
  } else if (extent("lifting.weight", 3) > 0 && extent("blocks.0.conv_1.weight", 3) > 0) {
    r.family = "conv";
    r.blocks = detail::list_length(shapes, "blocks");
    r.kernel = extent("blocks.0.conv_1.weight", 3);
    r.num_channels = extent("lifting.weight", 1);
    r.num_out_channels = extent("projection.weight", 0);
    r.embed_dim = extent("lifting.weight", 0);
  }
  return r;
}

}  // namespace fieldstep::io
