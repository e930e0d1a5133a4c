#pragma once
#include <fieldstep/core/shape.hpp>

#include <Kokkos_Core.hpp>
#include <algorithm>
#include <array>
#include <cstddef>

namespace fieldstep::ops {

/// What a convolution reads outside of a field.
enum class Padding {
  periodic,   ///< the field once more
  zero,       ///< 0
  replicate,  ///< the nearest point of the field
};

/// The point of an axis of n points that is read at `at`; the nearest one where zero is read.
template <Padding rule>
KOKKOS_INLINE_FUNCTION constexpr int padded_point(int at, int n) {
  if (rule == Padding::periodic) return (at % n + n) % n;
  return at < 0 ? 0 : at < n ? at : n - 1;
}

namespace detail {

/// Three axes whatever a field has: those that are missing stand in front.
constexpr std::array<int, 3> three_axes(const auto& extents, int missing) {
  std::array<int, 3> all{missing, missing, missing};
  for (std::size_t a = 0; a < extents.size(); ++a) all[3 - extents.size() + a] = extents[a];
  return all;
}
template <int... N>
constexpr std::array<int, 3> three_axes(Shape<N...>, int value, int missing) {
  return three_axes(std::array{(static_cast<void>(N), value)...}, missing);
}

}  // namespace detail

/// A field of Points = Shape<...>, one to three axes, with the points a convolution reads beyond its borders around it,
/// so that no loop knows of borders: Lead of them before every axis, Trail behind. Pixels are counted in the frame.
template <class Points_, int Lead_, int Trail_, Padding rule_>
struct Frame {
  static_assert(Points_::rank >= 1 && Points_::rank <= 3, "Frame: a field has one, two or three axes");
  static_assert(Points_::size > 0, "Frame: every axis must have points");
  using Points = Points_;
  static constexpr int Lead = Lead_, Trail = Trail_;
  static constexpr Padding rule = rule_;
  static constexpr auto points = detail::three_axes(Points::extents, 1), lead = detail::three_axes(Points(), Lead, 0),
                        trail = detail::three_axes(Points(), Trail, 0);
  static constexpr int rows = points[1], columns = points[2], lines = points[0] * rows;
  static constexpr int height = lead[1] + rows + trail[1], width = lead[2] + columns + trail[2];
  static constexpr int size = (lead[0] + points[0] + trail[0]) * height * width;

  /// The first pixel of line `line` of the field.
  static constexpr int pixel(int line) { return place(line / rows, line % rows) + lead[2]; }

  /// The first pixel of what a convolution reads for the first point of line `line`.
  static constexpr int window(int line) { return (line / rows * height + line % rows) * width; }

  /// Fills what depends on line `line` of an image of `channels` numbers a pixel.
  template <class Real>
  static void close_line(Real* image, int line, int channels) {
    Real* own = image + std::ptrdiff_t{pixel(line)} * channels;
    copies<2>(-1, [&](int at, int from) {
      if (rule == Padding::zero)
        std::fill_n(own + at * channels, channels, Real(0));
      else
        std::copy_n(own + from * channels, channels, own + at * channels);
    });
    other_lines(line, [&](int first) {
      Real* to = image + std::ptrdiff_t{first} * channels;
      if (rule == Padding::zero)
        std::fill_n(to, width * channels, Real(0));
      else
        std::copy_n(own - lead[2] * channels, width * channels, to);
    });
  }

  /// The adjoint: adds to line `line` what close_line made of it.
  template <class Real>
  static void gather_line(Real* image, int line, int channels) {
    static_assert(rule != Padding::zero, "Frame: what is zero reads nothing of the field");
    Real* own = image + std::ptrdiff_t{pixel(line)} * channels;
    const auto add = [&](const Real* from, int column) {
      for (int c = 0; c < channels; ++c) own[column * channels + c] += from[c];
    };
    const auto add_border = [&](const Real* field) {  // of the line whose field begins there
      copies<2>(-1, [&](int at, int column) { add(field + at * channels, column); });
    };
    add_border(own);
    other_lines(line, [&](int first) {
      const Real* field = image + std::ptrdiff_t{first + lead[2]} * channels;
      for (int j = 0; j < columns; ++j) add(field + j * channels, j);
      add_border(field);
    });
  }

 private:
  static constexpr int place(int plane, int row) { return ((plane + lead[0]) * height + row + lead[1]) * width; }

  /// visit(at, point) for the places outside of an axis that read point `own`, or any where that is -1.
  template <std::size_t Axis>
  static void copies(int own, const auto& visit) {
    constexpr int n = points[Axis];
    for (int k = 0; k < lead[Axis] + trail[Axis]; ++k) {
      const int at = k < lead[Axis] ? k - lead[Axis] : k - lead[Axis] + n, from = padded_point<rule>(at, n);
      if (own < 0 || from == own) visit(at, from);
    }
  }

  /// visit(pixel) for the first pixel of every line of the frame outside of the field that reads line `line`.
  static void other_lines(int line, const auto& visit) {
    const int plane = line / rows, row = line % rows;
    const auto in_plane = [&](int d) { copies<1>(row, [&](int i, int) { visit(place(d, i)); }); };
    in_plane(plane);
    copies<0>(plane, [&](int d, int) {
      visit(place(d, row));
      in_plane(d);
    });
  }
};

}  // namespace fieldstep::ops
