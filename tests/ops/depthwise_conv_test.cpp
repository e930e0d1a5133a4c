#include <fieldstep/ops/depthwise_conv.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

TEMPLATE_TEST_CASE_SIG("depthwise_conv: agrees with the naive version at every border; equal bits for any threads",
                       "[ops][depthwise_conv]",
                       ((int Rows, int Columns, int Channels, int Kernel), Rows, Columns, Channels, Kernel),
                       (8, 8, 48, 7), (3, 5, 6, 7), (7, 7, 24, 7), (9, 4, 5, 3), (1, 1, 2, 5)) {
  constexpr int samples = 2;
  constexpr std::size_t count = std::size_t{samples} * Rows * Columns * Channels;
  const auto run = [&]<class Real>(Real, const auto& convolve) {
    const auto x = drawn<Real>("x", count), weight = drawn<Real>("weight", std::size_t{Channels} * Kernel * Kernel);
    const auto bias = drawn<Real>("bias", Channels), y = constant<Real>(count);
    convolve(x.data(), weight.data(), bias.data(), y.data());
    return y;
  };
  const auto fast = [&](const Exec& exec) {
    return run(0.f, [&](const float* x, const float* w, const float* b, float* y) {
      ops::depthwise_conv<Rows, Columns, Channels, Kernel>(exec, samples, x, w, b, y);
    });
  };
  const auto exact = run(0., [](const double* x, const double* w, const double* b, double* y) {
    ops::depthwise_conv_naive<Rows, Columns, Channels, Kernel>(Exec(), samples, x, w, b, y);
  });
  const auto y = fast(Exec());
  CHECK(relative_l2(in_double(y), in_double(exact)) < rounding<float>);
  CHECK(same_bits(y, fast(one_thread())));
}
