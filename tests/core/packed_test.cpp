#include <fieldstep/core/packed.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <type_traits>
#include <vector>

using namespace fieldstep;

namespace {

template <class Real>
constexpr int lanes = native_lanes<Real>;

/// Widths about the panel: within a vector, one vector, a panel and its neighbours, several panels with a rest.
template <int Out>
using Weight = LinearLayout<5, Out>;

}  // namespace

static_assert(LinearLayout<3, 7>::K == 3 && LinearLayout<3, 7>::N == 7);
static_assert(LinearLayout<3, 7>::Original::extents[0] == 7);  // PyTorch stores (out, in)
static_assert(sizeof(Packed<float, LinearLayout<3, 7>>) == sizeof(float*));
static_assert(std::is_trivially_copyable_v<Packed<float, LinearLayout<3, 7>>>);
static_assert(std::is_convertible_v<Packed<float, Weight<7>>, Packed<const float, Weight<7>>>);
static_assert(!std::is_convertible_v<Packed<const float, Weight<7>>, Packed<float, Weight<7>>>);
static_assert(native_lanes<float> == 2 * native_lanes<double>);

/// A regrouped projection: N = (parts, heads, width) of what is stored as (heads, parts, width).
using Regrouped = MatrixLayout<Shape<24, 5>, Shape<2, 3, 4, 5>, Axes<1, 0, 2>, Axes<3>>;
static_assert(Regrouped::N == 24 && Regrouped::K == 5);

TEMPLATE_TEST_CASE_SIG("Packed: every entry has its own place", "[core][packed][property]", ((int Out), Out), 1, 3, 4,
                       8, 12, 16, 23, 24, 25, 47, 48, 49, 70, 97, 192) {
  using Matrix = Packed<const float, Weight<Out>>;
  static_assert(Matrix::padded_N >= Out && Matrix::padded_N < Out + lanes<float> &&
                Matrix::padded_N % lanes<float> == 0);
  std::vector<int> uses(Matrix::stored_size, 0);
  for (int k = 0; k < Matrix::K; ++k)
    for (int n = 0; n < Matrix::N; ++n) ++uses.at(Matrix::index(k, n));
  int used = 0;
  for (const int count : uses) {
    CHECK(count <= 1);
    used += count;
  }
  CHECK(used == Matrix::K * Matrix::N);
}

TEST_CASE("Packed: a panel's rows are contiguous and follow one another", "[core][packed]") {
  constexpr int panel = panel_width<float>;
  using Matrix = Packed<float, Weight<2 * panel + 1>>;
  for (int k = 0; k < Matrix::K; ++k) {
    CHECK(Matrix::index(k, 0) == static_cast<std::size_t>(k * panel));
    CHECK(Matrix::index(k, panel - 1) == static_cast<std::size_t>(k * panel + panel - 1));
    CHECK(Matrix::index(k, panel) == static_cast<std::size_t>((Matrix::K + k) * panel));
    CHECK(Matrix::index(k, 2 * panel) == static_cast<std::size_t>(2 * Matrix::K * panel + k * native_lanes<float>));
  }
}

TEST_CASE("Packed: its call operator writes where index says", "[core][packed]") {
  using Matrix = Packed<double, Weight<7>>;
  std::vector<double> numbers(Matrix::stored_size, 0.0);
  const Matrix w(numbers.data());
  w(4, 6) = 2.5;
  CHECK(numbers[Matrix::index(4, 6)] == 2.5);
  CHECK(Packed<const double, Weight<7>>(w)(4, 6) == 2.5);
}
