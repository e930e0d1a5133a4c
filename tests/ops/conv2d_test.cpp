#include <fieldstep/ops/conv2d.hpp>
#include <support/reference_layers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

TEST_CASE("conv2d_naive: a kernel picks the pixels of its patch", "[ops][conv2d]") {
  // One channel, kernel 2: weight (a, b) = (1, 10; 100, 1000) spells the patch out.
  const auto x = constant<double>(16), weight = constant<double>(4), y = constant<double>(4);
  for (int i = 0; i < 16; ++i) x.data()[i] = i % 8;
  for (int i = 0; i < 4; ++i) weight.data()[i] = std::pow(10., i);
  ops::conv2d_naive(Exec(), 1, 1, 1, 2, 2, 2, x.data(), weight.data(), y.data());
  CHECK(in_double(y) == Numbers{5410, 7632, 5410, 7632});
}

TEST_CASE("conv2d_transpose_naive: a pixel becomes its kernel", "[ops][conv2d]") {
  const auto x = constant<double>(2), weight = constant<double>(4), bias = constant<double>(1, .5),
             y = constant<double>(8);
  x.data()[0] = 1, x.data()[1] = 10;
  for (int i = 0; i < 4; ++i) weight.data()[i] = i + 1;
  ops::conv2d_transpose_naive(Exec(), 1, 1, 1, 1, 2, 2, x.data(), weight.data(), bias.data(), y.data());
  CHECK(in_double(y) == Numbers{1.5, 2.5, 10.5, 20.5, 3.5, 4.5, 30.5, 40.5});
}

TEST_CASE("conv2d_transpose_naive: is the adjoint of conv2d_naive", "[ops][conv2d][property]") {
  constexpr int samples = 2, in = 3, out = 5, rows = 4, columns = 3, kernel = 2;
  constexpr std::size_t fine = samples * in * rows * columns * kernel * kernel, coarse = samples * out * rows * columns;
  const auto x = drawn<double>("x", fine), weight = drawn<double>("weight", out * in * kernel * kernel);
  const auto y = constant<double>(coarse), dy = drawn<double>("dy", coarse), dx = constant<double>(fine);
  ops::conv2d_naive(Exec(), samples, in, out, rows, columns, kernel, x.data(), weight.data(), y.data());
  ops::conv2d_transpose_naive(Exec(), samples, out, in, rows, columns, kernel, dy.data(), weight.data(),
                              static_cast<const double*>(nullptr), dx.data());
  double left = 0, right = 0;
  for (std::size_t i = 0; i < coarse; ++i) left += y.data()[i] * dy.data()[i];
  for (std::size_t i = 0; i < fine; ++i) right += x.data()[i] * dx.data()[i];
  CHECK(std::abs(left - right) < 1e-12 * std::abs(left));
}

TEST_CASE("conv2d_naive, conv2d_transpose_naive: agree with the reference of the blocks", "[ops][conv2d]") {
  const reference::Image image{2, 3, 8, 12, in_double(drawn<double>("x", 2 * 3 * 8 * 12))};
  const Numbers weight = in_double(drawn<double>("weight", 5 * 3 * 4 * 4)), bias = in_double(drawn<double>("bias", 5));
  Numbers y(2 * 5 * 2 * 3);
  ops::conv2d_naive(Exec(), 2, 3, 5, 2, 3, 4, image.values.data(), weight.data(), y.data());
  CHECK(relative_l2(y, reference::convolution(image, weight, 5, 4).values) < rounding<double>);
  Numbers z(2 * 5 * 32 * 48);
  ops::conv2d_transpose_naive(Exec(), 2, 3, 5, 8, 12, 4, image.values.data(), weight.data(), bias.data(), z.data());
  CHECK(relative_l2(z, reference::transposed_convolution(image, weight, 5, 4, bias).values) < rounding<double>);
}
