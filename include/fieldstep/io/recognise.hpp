#pragma once
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/io/tensor_file.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
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

/// Sizes are 0 where the family has none such or the shapes do not tell.
struct Recognised {
  std::string family;   ///< mpp, poseidon; empty: unknown
  std::string variant;  ///< of the published ones; empty: another size
  std::string bias;     ///< mpp: rel, continuous, none
  std::int64_t embed_dim = 0, heads = 0, blocks = 0, states = 0;

  /// "AViT-S (embed_dim 384, 6 heads, 12 blocks, 12 states, rel bias)"
  std::string text() const {
    if (family.empty()) return "an unknown network";
    std::ostringstream text;
    text << (family == "mpp" ? "AViT" : "Poseidon ScOT") << (variant.empty() ? "" : "-") << variant << " (embed_dim "
         << embed_dim;
    if (family == "mpp")
      text << ", " << heads << " heads, " << blocks << " blocks, " << states << " states, " << bias << " bias";
    text << ")";
    return text.str();
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
inline constexpr std::array scot_variants{Published{"T", 48, 0, 4}, Published{"B", 96, 0, 8},
                                          Published{"L", 192, 0, 8}};

}  // namespace detail

/// From PyTorch's keys and shapes.
inline Recognised recognise(const std::vector<NamedShape>& shapes) {
  const auto extent = [&](std::string_view name, std::size_t axis) -> std::int64_t {
    const auto found = std::ranges::find(shapes, name, &NamedShape::name);
    return found == shapes.end() || found->shape.size() <= axis ? 0 : found->shape[axis];
  };
  const auto published = [](const auto& variants, const Recognised& r) {
    for (const detail::Published& v : variants)
      if (v.embed_dim == r.embed_dim && v.heads == r.heads && v.blocks == r.blocks) return std::string(v.variant);
    return std::string();
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
    r.variant = published(detail::avit_variants, r);
  } else if (extent("embeddings.patch_embeddings.projection.weight", 0) > 0) {
    r.family = "poseidon";
    r.embed_dim = extent("embeddings.patch_embeddings.projection.weight", 0);
    r.blocks = detail::list_length(shapes, "encoder.layers.0.blocks");
    r.variant = published(detail::scot_variants, r);
  }
  return r;
}

}  // namespace fieldstep::io
