#include <fieldstep/ops/depthwise_conv.hpp>
#include <support/allocations.hpp>
#include <support/gradient.hpp>
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

namespace {

/// A convolution, what its result is added to, and a gradient.
template <class Real, int Rows, int Columns, int Channels, int Kernel>
struct Backward {
  static constexpr int samples = 2;
  static constexpr std::size_t count = std::size_t{samples} * Rows * Columns * Channels;
  static constexpr std::size_t taps = std::size_t{Channels} * Kernel * Kernel;
  Arena<Real> x = drawn<Real>("x", count), dy = drawn<Real>("dy", count), base = drawn<Real>("base", count);
  Arena<Real> weight = drawn<Real>("weight", taps), start = drawn<Real>("start", taps + Channels);
  Arena<Real> scratch =
      constant<Real>(ops::depthwise_conv_backward_scratch_size<Rows, Columns, Channels, Kernel>(samples));

  /// dx, then dweight and dbias, which are added to `start`.
  Arena<Real> gradient(const Exec& exec) const {
    return with([&](auto... arguments) {
      ops::depthwise_conv_backward<Rows, Columns, Channels, Kernel>(exec, samples, arguments..., scratch.data());
    });
  }
  Arena<Real> naive() const {
    return with([](auto... arguments) {
      ops::depthwise_conv_backward_naive<Rows, Columns, Channels, Kernel>(Exec(), samples, arguments...);
    });
  }

 private:
  template <class F>
  Arena<Real> with(const F& backward) const {
    const auto result = constant<Real>(count + taps + Channels);
    Real *dx = result.data(), *dweight = dx + count;
    std::copy_n(start.data(), start.size(), dweight);
    backward(x.data(), weight.data(), dy.data(), base.data(), dx, dweight, dweight + taps);
    return result;
  }
};

}  // namespace

TEST_CASE("depthwise_conv backward, naive: agrees with central differences", "[ops][depthwise_conv][gradient]") {
  constexpr int Rows = 4, Columns = 3, Channels = 2, Kernel = 5;
  using Conv = Backward<double, Rows, Columns, Channels, Kernel>;
  const Conv c;
  Numbers at = in_double(c.x), expected = in_double(c.base);
  for (const auto& more : {in_double(c.weight), Numbers(Channels)}) at.insert(at.end(), more.begin(), more.end());
  const auto convolve = [](const Numbers& v) {
    const double *x = v.data(), *weight = x + Conv::count, *bias = weight + Conv::taps;
    const auto y = constant<double>(Conv::count);
    ops::depthwise_conv_naive<Rows, Columns, Channels, Kernel>(Exec(), Conv::samples, x, weight, bias, y.data());
    return in_double(y);
  };
  expected.insert(expected.end(), c.start.data(), c.start.data() + c.start.size());
  const Numbers gradient = central_differences(convolve, at, in_double(c.dy));
  for (std::size_t i = 0; i < gradient.size(); ++i) expected[i] += gradient[i];
  CHECK(relative_l2(in_double(c.naive()), expected) < 1e-11);
}

TEMPLATE_TEST_CASE_SIG("depthwise_conv backward: agrees with the naive version; equal bits for any threads, no memory",
                       "[ops][depthwise_conv][property]",
                       ((int Rows, int Columns, int Channels, int Kernel), Rows, Columns, Channels, Kernel),
                       (8, 8, 48, 7), (3, 5, 6, 7), (17, 7, 24, 7), (9, 4, 5, 3), (1, 1, 2, 5)) {
  const Backward<float, Rows, Columns, Channels, Kernel> single;
  const Backward<double, Rows, Columns, Channels, Kernel> wide;
  const auto exact = in_double(wide.naive());
  const auto gradient = single.gradient(Exec());
  CHECK(relative_l2(in_double(gradient), exact) < rounding<float>);
  CHECK(relative_l2(in_double(single.naive()), exact) < rounding<float>);
  CHECK(relative_l2(in_double(wide.gradient(Exec())), exact) < rounding<double>);
  CHECK(same_bits(gradient, single.gradient(one_thread())));

  const auto dx = single.base, dweight = constant<float>(single.taps, 0), dbias = constant<float>(Channels, 0);
  const Exec exec;
  const AllocationCounter counter;
  ops::depthwise_conv_backward<Rows, Columns, Channels, Kernel>(
      exec, single.samples, single.x.data(), single.weight.data(), single.dy.data(),
      static_cast<const float*>(dx.data()), dx.data(), dweight.data(), dbias.data(), single.scratch.data());
  const auto allocations = counter.allocations();
  CHECK(allocations == 0);
  CHECK(std::equal(dx.data(), dx.data() + dx.size(), gradient.data()));  // in place
}
