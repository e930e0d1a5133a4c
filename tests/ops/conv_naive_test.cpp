#include <fieldstep/ops/conv_naive.hpp>
#include <support/convolution.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using ops::Padding;

TEMPLATE_TEST_CASE("conv_naive: forward and gradients agree with the sums they stand for",
                   "[ops][conv_naive][property]", (Convolution<double, Shape<9>, 2, Padding::periodic, 1, 1>),
                   (Convolution<double, Shape<6>, 5, Padding::replicate, 2, 3>),
                   (Convolution<double, Shape<5, 7>, 3, Padding::zero, 3, 2>),
                   (Convolution<double, Shape<5, 4>, 4, Padding::replicate, 2, 2>),
                   (Convolution<double, Shape<3, 4, 5>, 3, Padding::periodic, 2, 1>),
                   (Convolution<double, Shape<3, 2, 5>, 2, Padding::zero, 1, 2>)) {
  const TestType convolution;
  CHECK(relative_l2(in_double(convolution.naive()), convolution.exact()) < rounding<double>);
}
