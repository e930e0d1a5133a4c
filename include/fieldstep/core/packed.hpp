#pragma once
#include <fieldstep/core/shape.hpp>

#include <Kokkos_Core.hpp>
#include <algorithm>
#include <array>
#include <cstddef>

namespace fieldstep {

/// Number of Real that one vector register of the compiler's target holds (-march decides).
template <class Real>
inline constexpr int native_lanes =
#if defined(__AVX512F__)
    64 / sizeof(Real);
#elif defined(__AVX__)
    32 / sizeof(Real);
#else
    16 / sizeof(Real);
#endif

/// Columns of one weight panel: three vectors, so that a tile of 4 (16 registers) or 8 rows (32 registers) x 3 vectors
/// keeps its sums in registers.
template <class Real>
inline constexpr int panel_width = 3 * native_lanes<Real>;

/// Positions of axes, slowest first.
template <int... A>
using Axes = Shape<A...>;

namespace detail {

/// Whether N and K together name each of `rank` axes once.
template <class N, class K>
constexpr bool name_every_axis_once(int rank) {
  for (int axis = 0; axis < rank; ++axis)
    if (std::ranges::count(N::extents, axis) + std::ranges::count(K::extents, axis) != 1) return false;
  return N::rank + K::rank == rank;
}

}  // namespace detail

/// How a weight of the original framework is read as the K x N matrix of a product y = x W.
///   Original   its extents in the original's state dict, row-major
///   View       the same numbers with some axes split, so that columns can be regrouped
///   N, K       which axes of View make up the column and the row index of W, slowest first
/// A PyTorch Linear (out, in): View = Original, N = Axes<0>, K = Axes<1>.
template <class Original_, class View_, class N_, class K_>
struct MatrixLayout {
  using Original = Original_;
  using View = View_;
  static_assert(Original::size == View::size, "MatrixLayout: View must hold as many numbers as Original");
  static_assert(detail::name_every_axis_once<N_, K_>(View::rank),
                "MatrixLayout: N and K must name every axis of View once");

  static constexpr int extent(const auto& axes) {
    int product = 1;
    for (const int a : axes) product *= View::extents[static_cast<std::size_t>(a)];
    return product;
  }
  static constexpr auto n_axes = N_::extents;
  static constexpr auto k_axes = K_::extents;
  static constexpr int K = extent(k_axes), N = extent(n_axes);
};

/// PyTorch's Linear weight, (out, in).
template <int In, int Out>
using LinearLayout = MatrixLayout<Shape<Out, In>, Shape<Out, In>, Axes<0>, Axes<1>>;

/// A weight matrix in the order the product reads it: panels of `panel` columns, each K x panel row-major, one after
/// the other; the last panel is as wide as the rest of N rounded up to whole vectors, its surplus columns are zero. One
/// pointer wide, does not own its memory.
template <class R, class Layout_>
class Packed {
 public:
  using Layout = Layout_;
  using value_type = std::remove_const_t<R>;
  static constexpr int K = Layout::K, N = Layout::N;
  static constexpr int lanes = native_lanes<value_type>, panel = panel_width<value_type>;
  static constexpr int padded_N = (N + lanes - 1) / lanes * lanes;
  static constexpr std::size_t stored_size = std::size_t{K} * padded_N;

  constexpr Packed() = default;
  KOKKOS_FUNCTION constexpr explicit Packed(R* data) : data_(data) {}
  template <class Other>
  requires std::same_as<const Other, R> KOKKOS_FUNCTION constexpr Packed(const Packed<Other, Layout>& other)
      : data_(other.data_handle()) {}

  KOKKOS_FUNCTION constexpr R* data_handle() const { return data_; }

  /// Entry (k, n) of the K x N matrix.
  KOKKOS_FUNCTION constexpr R& operator()(int k, int n) const { return data_[index(k, n)]; }

  KOKKOS_FUNCTION static constexpr std::size_t index(int k, int n) {
    const int first = n / panel * panel;
    const int width = padded_N - first < panel ? padded_N - first : panel;
    return std::size_t{K} * first + std::size_t(k) * width + (n - first);
  }

 private:
  R* data_ = nullptr;
};

}  // namespace fieldstep
