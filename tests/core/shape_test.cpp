#include <fieldstep/core/shape.hpp>
#include <fieldstep/core/tensor.hpp>

#include <catch2/catch_test_macros.hpp>
#include <type_traits>

using namespace fieldstep;

static_assert(Shape<2, 3, 4>::rank == 3 && Shape<2, 3, 4>::size == 24);
static_assert(Shape<>::rank == 0 && Shape<>::size == 1);
static_assert(Shape<2, 3>::extents[1] == 3);
static_assert(Shape<65536, 65536>::size == std::size_t{1} << 32);  // counted in size_t, not in int
static_assert(SameShape<Shape<64, 96>, Shape<64, 96>> && !SameShape<Shape<64, 96>, Shape<96, 64>>);
static_assert(Grid<16, 128, 64, 3>::height == 128 && Grid<16, 128, 64, 3>::width == 64);

static_assert(sizeof(Tensor<float, 6, 8>) == sizeof(float*));
static_assert(std::is_trivially_copyable_v<Batched<double, 6, 8>>);
static_assert(std::is_convertible_v<Tensor<float, 6, 8>, Tensor<const float, 6, 8>>);
static_assert(!std::is_convertible_v<Tensor<float, 6, 8>, Tensor<float, 8, 6>>);
static_assert(static_size<Tensor<float, 6, 8>>() == 48 && static_size<Batched<float, 6, 8>>() == 48);

TEST_CASE("Tensor: is row-major", "[core][tensor]") {
  float numbers[24];
  const Tensor<float, 2, 3, 4> x(numbers);
  CHECK(&x(0, 0, 1) == numbers + 1);
  CHECK(&x(0, 1, 0) == numbers + 4);
  CHECK(&x(1, 2, 3) == numbers + 23);
}

TEST_CASE("Batched: the batch leads and enters no stride", "[core][tensor]") {
  float numbers[24];
  const Batched<float, 3, 4> x(numbers, 2);
  CHECK(x.extent(0) == 2);
  CHECK(&x(1, 2, 3) == numbers + 23);
  CHECK(x.stride(0) == 12);
}
