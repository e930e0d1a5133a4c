#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/loaders.hpp>  // NestedPositions

#include <cstddef>

namespace fieldstep::ops {

/// The two orders of an image that is cut into 4x4 patches of 16 Rows x 16 Columns points:
///   image:   (samples, Fields, 16 Rows, 16 Columns)
///   patches: (samples, 16 Rows Columns in nested order, Fields, 4, 4)
/// Each field of a sample may be scaled and shifted on the way: scale, shift (samples / frames, Fields), null for 1 and
/// 0; `frames` samples in a row share theirs.
template <int Fields, int Rows, int Columns>
struct NestedPatches {
  using Nested = NestedPositions<Rows, Columns>;
  static constexpr int positions = Nested::count, patch_size = 16 * Fields;

  /// image = patches * scale + shift.
  template <class Exec, class Real>
  static void to_image(const Exec& exec, int samples, int frames, const Real* patches, const Real* scale,
                       const Real* shift, Real* image) {
    for_each_line(exec, samples, frames, [=](std::ptrdiff_t patch, std::ptrdiff_t point, std::ptrdiff_t field) {
      const Real a = scale ? scale[field] : Real(1), b = shift ? shift[field] : Real(0);
      for (int j = 0; j < 4; ++j) image[point + j] = patches[patch + j] * a + b;
    });
  }

  /// patches = image * scale.
  template <class Exec, class Real>
  static void to_patches(const Exec& exec, int samples, int frames, const Real* image, const Real* scale,
                         Real* patches) {
    for_each_line(exec, samples, frames, [=](std::ptrdiff_t patch, std::ptrdiff_t point, std::ptrdiff_t field) {
      const Real a = scale ? scale[field] : Real(1);
      for (int j = 0; j < 4; ++j) patches[patch + j] = image[point + j] * a;
    });
  }

 private:
  /// Calls move(place in the patches, place in the image, field) for the four points of every line of every patch.
  template <class Exec, class Move>
  static void for_each_line(const Exec& exec, int samples, int frames, const Move& move) {
    for_ranges(exec, samples * positions, [=](int begin, int end) {
      for (int row = begin; row < end; ++row) {
        const int sample = row / positions, position = row % positions;
        const int top = 4 * Nested::row(position), left = 4 * Nested::column(position);
        for (int c = 0; c < Fields; ++c)
          for (int i = 0; i < 4; ++i) {
            const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(sample) * Fields + c;
            move(static_cast<std::ptrdiff_t>(row) * patch_size + (c * 4 + i) * 4,
                 (plane * 16 * Rows + top + i) * 16 * Columns + left,
                 static_cast<std::ptrdiff_t>(sample / frames) * Fields + c);
          }
      }
    });
  }
};

}  // namespace fieldstep::ops
