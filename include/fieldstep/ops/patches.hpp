#pragma once
#include <fieldstep/core/exec.hpp>

#include <cstddef>
#include <cstring>

namespace fieldstep::ops {

/// The two orders of an image cut into Rows x Columns patches:
///   image:   (samples, Channels, Patch Rows, Patch Columns)
///   patches: (samples, Rows, Columns, Channels, Patch, Patch), one row a token
template <int Channels, int Patch, int Rows, int Columns>
struct PatchGrid {
  static constexpr int patch_size = Channels * Patch * Patch, positions = Rows * Columns;
  static constexpr int height = Patch * Rows, width = Patch * Columns, lines = Channels * height;

  /// Row `row` of the patches, from the image.
  template <class Real>
  static void read_patch(const Real* image, int row, Real* to) {
    const std::ptrdiff_t sample = row / positions;
    const int top = row % positions / Columns * Patch, left = row % Columns * Patch;
    for (int i = 0; i < Channels * Patch; ++i) {  // i = (channel, a)
      const std::ptrdiff_t line = sample * lines + i / Patch * height + top + i % Patch;
      std::memcpy(to + i * Patch, image + line * width + left, sizeof(Real) * Patch);
    }
  }

  /// Line `line` of the image, counted through samples and channels, from the patches.
  template <class Real>
  static void read_line(const Real* patches, int line, Real* to) {
    const int channel = line / height % Channels, i = line % height;
    const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(line / lines) * positions + i / Patch * Columns;
    const Real* from = patches + row * patch_size + (channel * Patch + i % Patch) * Patch;
    for (int j = 0; j < Columns; ++j) std::memcpy(to + j * Patch, from + j * patch_size, sizeof(Real) * Patch);
  }

  template <class Exec, class Real>
  static void to_patches(const Exec& exec, int samples, const Real* image, Real* patches) {
    for_ranges(exec, samples * positions, [=](int begin, int end) {
      for (int row = begin; row < end; ++row)
        read_patch(image, row, patches + static_cast<std::ptrdiff_t>(row) * patch_size);
    });
  }
  template <class Exec, class Real>
  static void to_image(const Exec& exec, int samples, const Real* patches, Real* image) {
    for_ranges(exec, samples * lines, [=](int begin, int end) {
      for (int line = begin; line < end; ++line)
        read_line(patches, line, image + static_cast<std::ptrdiff_t>(line) * width);
    });
  }
};

}  // namespace fieldstep::ops
