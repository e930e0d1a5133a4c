#pragma once
#include <array>
#include <span>

namespace fieldstep::embed {

/// What a run fixes, in terms that every family can translate into its own.
struct Conditions {
  std::span<const int> labels;      ///< which state each field is
  std::array<int, 2> boundaries{};  ///< of width, then of height: 1 periodic, 0 open
};

}  // namespace fieldstep::embed
