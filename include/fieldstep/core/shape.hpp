#pragma once
#include <array>
#include <concepts>
#include <cstddef>

namespace fieldstep {

/// Static extents as a type; compiler messages show it, as in Shape<64, 96>.
template <int... N>
struct Shape {
  static constexpr int rank = sizeof...(N);
  static constexpr std::array<int, sizeof...(N)> extents{N...};
  static constexpr std::size_t size = (std::size_t{1} * ... * std::size_t{N});
};

/// Two shapes agree. Asserted as a concept it makes the compiler print both of them.
template <class A, class B>
concept SameShape = std::same_as<A, B>;

/// What a caller hands a model: frames x fields x height x width, the batch being a run-time extent in front of them.
template <int Frames, int Height, int Width, int Fields>
struct Grid {
  static_assert(Frames > 0 && Height > 0 && Width > 0 && Fields > 0,
                "Grid<frames, height, width, fields>: every extent must be positive");
  static constexpr int frames = Frames, height = Height, width = Width, fields = Fields;
};

}  // namespace fieldstep
