#pragma once
#include <fieldstep/core/arena.hpp>

#include <algorithm>
#include <cstddef>

namespace fieldstep::embed {

/// The last frames of a simulation, oldest first and contiguous, as a network reads them. A ring in which every frame
/// stands twice, `frames` slots apart: its window never wraps, and a new frame moves no old one.
template <class Real>
class History {
 public:
  History(int frames, std::size_t frame_size)
      : frames_(static_cast<std::size_t>(frames)), frame_size_(frame_size), slots_(2 * frames_ * frame_size) {}

  /// Adds a frame; the oldest one leaves.
  void observe(const Real* frame) noexcept {
    std::copy_n(frame, frame_size_, next());
    advance();
  }

  /// Whether the window is full.
  bool ready() const noexcept { return observed_ >= frames_; }
  /// (frames, frame_size), once ready.
  const Real* window() const noexcept { return slot(oldest()); }
  /// Forgets all frames.
  void clear() noexcept { observed_ = 0; }

  /// The slot of the frame to come, outside of the window: write there, then advance().
  Real* next() noexcept { return slot(oldest() + frames_); }
  void advance() noexcept {
    std::copy_n(next(), frame_size_, slot(oldest()));
    ++observed_;
  }

 private:
  std::size_t oldest() const noexcept { return observed_ % frames_; }
  Real* slot(std::size_t i) const noexcept { return slots_.data() + i * frame_size_; }

  std::size_t frames_, frame_size_, observed_ = 0;
  Arena<Real> slots_;
};

}  // namespace fieldstep::embed
