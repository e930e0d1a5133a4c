#pragma once

namespace fieldstep::models {

/// How attention sees the distance between two points of an axis.
enum class PositionBias {
  relative,    ///< `rel`: a table of distance buckets, the default
  continuous,  ///< `continuous`: an MLP of the normalised distance
  none,        ///< `none`: no bias, as jax_mpp runs it
};

/// What every variant of the MPP AViT shares. An own variant derives from one below and restates what differs.
struct AvitDefaults {
  static constexpr int states = 12;  ///< vocabulary of physical fields
  static constexpr int patch = 16;   ///< pixels of a token's side: 4 * 2 * 2
  static constexpr PositionBias bias = PositionBias::relative;
  static constexpr double layer_norm_eps = 1e-5;  ///< of q and k; weights trained with the Flax port expect 1e-6
  static constexpr double drop_path = 0.2;        ///< rate of the last block in training
};

/// Source: McCabe et al. 2023, arXiv:2310.02994, table 1; config/mpp_avit_{ti,s,b,l}_config.yaml.
struct AvitTi : AvitDefaults {
  static constexpr int embed_dim = 192, heads = 3, blocks = 12;
};
struct AvitS : AvitDefaults {
  static constexpr int embed_dim = 384, heads = 6, blocks = 12;
};
struct AvitB : AvitDefaults {
  static constexpr int embed_dim = 768, heads = 12, blocks = 12;
};
struct AvitL : AvitDefaults {
  static constexpr int embed_dim = 1024, heads = 16, blocks = 24;
};

}  // namespace fieldstep::models
