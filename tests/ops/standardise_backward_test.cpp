#include <fieldstep/ops/standardise.hpp>
#include <fieldstep/ops/standardise_backward.hpp>
#include <support/gradient.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int batch = 2, frames = 3, fields = 2, pixels = 48;
constexpr std::size_t count = batch * fields, size = count * frames * pixels;
constexpr double eps = 1e-7;

template <class Real>
struct Statistics {
  Arena<Real> planes = constant<Real>(2 * frames * count), mean = constant<Real>(count),
              deviation = constant<Real>(count);

  Statistics(const Exec& exec, const Real* x) {
    ops::field_statistics(exec, batch, frames, fields, pixels, eps, x, planes.data(), mean.data(), deviation.data());
  }
};

}  // namespace

TEST_CASE("add_statistics_gradient: agrees with central differences of the statistics",
          "[ops][standardise][gradient]") {
  const Numbers x = in_double(drawn<double>("x", size, .5, 2)), dy = in_double(drawn<double>("dy", 2 * count));
  const Numbers expected = central_differences(
      [](const Numbers& at) {
        const Statistics<double> s(Exec(), at.data());
        Numbers y = in_double(s.mean);
        y.insert(y.end(), s.deviation.data(), s.deviation.data() + count);
        return y;
      },
      x, dy);
  const Statistics<double> s(Exec(), x.data());
  for (const bool naive : {false, true}) {
    const auto dx = constant<double>(size, 0);
    const auto run = [&](const auto& add) {
      add(Exec(), batch, frames, fields, pixels, eps, x.data(), s.mean.data(), s.deviation.data(), dy.data(),
          dy.data() + count, dx.data());
    };
    if (naive)
      run([](const auto&... arguments) { ops::add_statistics_gradient_naive(arguments...); });
    else
      run([](const auto&... arguments) { ops::add_statistics_gradient(arguments...); });
    CHECK(relative_l2(in_double(dx), expected) < 1e-10);
  }
}

TEMPLATE_TEST_CASE("field_products: agrees with the naive version; equal bits for any threads",
                   "[ops][standardise][property]", float, double) {
  const auto g = drawn<TestType>("g", size, .1), x = drawn<TestType>("x", size, .5, 2);
  const auto mean = drawn<TestType>("mean", count), planes = constant<TestType>(2 * frames * count);
  for (const TestType* centre : {static_cast<const TestType*>(nullptr), static_cast<const TestType*>(mean.data())}) {
    const auto sums = [&](const Exec& exec) {
      const auto found = constant<TestType>(2 * count);
      ops::field_products(exec, batch, frames, fields, pixels, g.data(), x.data(), centre, planes.data(), found.data(),
                          found.data() + count);
      return found;
    };
    const auto naive = constant<TestType>(2 * count), found = sums(Exec());
    ops::field_products_naive(Exec(), batch, frames, fields, pixels, g.data(), x.data(), centre, naive.data(),
                              naive.data() + count);
    CHECK(relative_l2(in_double(found), in_double(naive)) < rounding<TestType>);
    CHECK(same_bits(found, sums(one_thread())));
  }
}

TEST_CASE("add_statistics_gradient: nothing goes through the deviation of a constant field", "[ops][standardise]") {
  const auto x = constant<float>(size, 2), dx = constant<float>(size, 1), gradient = constant<float>(count, 3);
  const Statistics<float> s(Exec(), x.data());
  ops::add_statistics_gradient(Exec(), batch, frames, fields, pixels, eps, x.data(), s.mean.data(), s.deviation.data(),
                               gradient.data(), gradient.data(), dx.data());
  for (std::size_t i = 0; i < size; ++i) CHECK(dx.data()[i] == 1 + 3.f / (frames * pixels));
}
