#pragma once
#include <array>

namespace fieldstep::models {

/// The blocks on the skips of the U.
enum class SkipBlock { convnext, resnet };

/// What the published ScOTs share. An own variant derives from one below and restates what differs; depths, heads and
/// skip_blocks have one entry a stage.
struct ScotDefaults {
  static constexpr int patch = 4;    ///< pixels of a token's side
  static constexpr int window = 16;  ///< tokens of a window's side, less where the grid is smaller
  static constexpr int out_channels = 4;
  static constexpr double mlp_ratio = 4;          ///< hidden channels of a block's MLP over its channels
  static constexpr bool use_conditioning = true;  ///< norms depend on the lead time
  static constexpr bool learn_residual = false;   ///< the network computes the change
  static constexpr bool qkv_bias = true;          ///< of queries and values; keys have none
  static constexpr bool mask_token = false;       ///< a learned token that can replace others
  static constexpr bool absolute_positions = false;
  static constexpr SkipBlock skip_block = SkipBlock::convnext;
  static constexpr double layer_norm_eps = 1e-5;
  /// Pixels of a side at which the network works; frames of another size are resampled. 0: that of the frames.
  static constexpr int image_size = 0;
  /// One a stage: the window in which the position biases were trained, 0 where it is this one. Empty: this one
  /// everywhere.
  static constexpr std::array<int, 0> trained_windows{};
};

/// Source: Herde et al. 2024, arXiv:2405.19101, table 2; Poseidon's scOT/train.py.
struct PoseidonT : ScotDefaults {
  static constexpr int embed_dim = 48;
  static constexpr std::array depths{4, 4, 4, 4}, heads{3, 6, 12, 24}, skip_blocks{2, 2, 2, 0};
};
struct PoseidonS : PoseidonT {
  static constexpr std::array depths{8, 8, 8, 8};
};
struct PoseidonB : PoseidonS {
  static constexpr int embed_dim = 96;
};
struct PoseidonL : PoseidonS {
  static constexpr int embed_dim = 192;
};

}  // namespace fieldstep::models
