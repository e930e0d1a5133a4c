#include <fieldstep/ops/gelu_backward.hpp>
#include <support/gradient.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

TEMPLATE_TEST_CASE("scaled_gelu_backward: agrees with central differences and naively; equal bits for any threads",
                   "[ops][gelu_backward][property]", float, double) {
  constexpr int samples = 3, rows = 5, channels = 20;
  constexpr std::size_t size = samples * rows * channels;
  const auto x = drawn<TestType>("x", size), scale = drawn<TestType>("scale", samples * channels, 1, 2);
  const auto run = [&](const Exec& exec) {
    const auto dy = drawn<TestType>("dy", size);
    ops::scaled_gelu_backward<channels>(exec, samples, rows, x.data(), scale.data(), dy.data());
    return dy;
  };
  const auto naive = drawn<TestType>("dy", size);
  ops::scaled_gelu_backward_naive(Exec(), samples, rows, channels, x.data(), scale.data(), naive.data());
  Numbers exact = in_double(drawn<TestType>("dy", size));
  for (std::size_t i = 0; i < size; ++i) {
    const double v = static_cast<double>(x.data()[i]) *
                     static_cast<double>(scale.data()[i / (rows * channels) * channels + i % channels]);
    exact[i] *= derivative([=](double t) { return ops::gelu_naive(v + t); });
  }
  const auto fast = run(Exec());
  CHECK(relative_l2(in_double(fast), exact) < std::max(rounding<TestType>, 1e-11));
  CHECK(relative_l2(in_double(naive), exact) < std::max(rounding<TestType>, 1e-11));
  CHECK(same_bits(fast, run(one_thread())));
}
