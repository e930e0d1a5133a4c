#pragma once
#include <fieldstep/core/params.hpp>  // aligned_count

#include <cstddef>

namespace fieldstep {

/// Hands out memory piece by piece, each at a multiple of 16 numbers. Without memory it only counts, so the sizes of a
/// plan and its places come from the same lines.
template <class Real>
class Carver {
 public:
  constexpr explicit Carver(Real* memory = nullptr) : memory_(memory) {}

  constexpr Real* take(std::size_t count) {
    Real* piece = memory_ ? memory_ + taken_ : nullptr;
    taken_ += aligned_count(count);
    return piece;
  }
  /// Numbers handed out so far, gaps included.
  constexpr std::size_t taken() const { return taken_; }

 private:
  Real* memory_;
  std::size_t taken_ = 0;
};

}  // namespace fieldstep
