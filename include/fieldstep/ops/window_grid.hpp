#pragma once
#include <Kokkos_Core.hpp>

// Windows of a token grid, their cyclic shift, the padding of the grid to whole windows and the mask are arithmetic on
// indices: no pass moves a token.
namespace fieldstep::ops {

/// Where the tokens of a window lie: a grid of Rows x Columns tokens, padded below and to the right to whole windows of
/// Window x Window, rolled by -shift along both axes.
/// Source: Liu et al. 2021, arXiv:2103.14030, section 3.2; transformers' Swinv2Layer.
template <int Rows, int Columns, int Window>
struct WindowGrid {
  static_assert(Window > 1, "WindowGrid: a window of one token has no distances");
  static constexpr int down = (Rows + Window - 1) / Window, across = (Columns + Window - 1) / Window;
  static constexpr int windows = down * across, length = Window * Window;

  /// Place of token `n` of window `w` on the padded grid before the roll, and the region that the mask compares: tokens
  /// of a window that the roll brought together from opposite sides of the grid do not see each other.
  struct Place {
    int row, column, region;
    /// Index on the grid, negative for padding.
    KOKKOS_FUNCTION constexpr int token() const { return row < Rows && column < Columns ? row * Columns + column : -1; }
  };
  KOKKOS_FUNCTION static constexpr Place place(int w, int n, int shift) {
    const int y = w / across * Window + n / Window, x = w % across * Window + n % Window;
    const auto label = [=](int i, int extent) {
      return shift == 0 || i < extent - Window ? 0 : i < extent - shift ? 1 : 2;
    };
    return {(y + shift) % (down * Window), (x + shift) % (across * Window),
            3 * label(y, down * Window) + label(x, across * Window)};
  }
};

/// Added to the score of a query and a key of different regions. The original adds -100 twice.
inline constexpr double window_mask = -200;

/// Row of the position bias table: offset query - key along y and x, each from 1 - Window to Window - 1.
template <int Window>
KOKKOS_FUNCTION constexpr int bias_row(int query, int key) {
  return (query / Window - key / Window + Window - 1) * (2 * Window - 1) + query % Window - key % Window + Window - 1;
}

}  // namespace fieldstep::ops
