#include <fieldstep/ops/resample.hpp>
#include <support/gradient.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int planes = 3;

template <class Real, int From, int To>
Arena<Real> matrix() {
  const auto numbers = constant<Real>(2 * From * To);
  ops::resampling_matrix<From, To>(numbers.data());
  return numbers;
}

/// Fields of size Here to what `resample`, given execution space, planes, matrix and fields, makes of them.
template <class Real, int Here, int There, class Resample>
Arena<Real> apply(const Exec& exec, const Arena<Real>& x, const Arena<Real>& matrix, const Resample& resample) {
  const auto y = constant<Real>(std::size_t{planes} * There * There);
  resample(exec, planes, static_cast<const Real*>(matrix.data()), static_cast<const Real*>(x.data()), y.data());
  return y;
}

}  // namespace

TEMPLATE_TEST_CASE_SIG(
    "resample: agrees with the naive version; its gradient is the adjoint; equal bits for any threads",
    "[ops][resample][property]", ((int From, int To), From, To), (8, 12), (12, 8), (6, 32), (32, 6), (64, 32), (2, 2)) {
  const auto there = [](auto... arguments) { ops::resample<From, To>(arguments...); };
  const auto back = [](auto... arguments) { ops::resample_backward<From, To>(arguments...); };
  const auto run = [&]<class Real>(Real, const Exec& exec) {
    const auto x = drawn<Real>("x", std::size_t{planes} * From * From), y = drawn<Real>("y", planes * To * To);
    return std::array{apply<Real, From, To>(exec, x, matrix<Real, From, To>(), there),
                      apply<Real, To, From>(exec, y, matrix<Real, To, From>(), back)};
  };
  const auto x = drawn<double>("x", std::size_t{planes} * From * From), dy = drawn<double>("y", planes * To * To);
  const auto [y, dx] = run(0., Exec());
  const auto naive = apply<double, From, To>(Exec(), x, matrix<double, From, To>(),
                                             [](auto... arguments) { ops::resample_naive<From, To>(arguments...); });
  CHECK(relative_l2(in_double(y), in_double(naive)) < rounding<double>);
  // <A x, dy> = <x, A^T dy>
  const double forward = dot(in_double(y), in_double(dy)), backward = dot(in_double(x), in_double(dx));
  CHECK(std::abs(forward - backward) <
        1e-13 * std::sqrt(dot(in_double(y), in_double(y)) * dot(in_double(dy), in_double(dy))));

  const auto single = run(0.f, Exec()), serial = run(0.f, one_thread());
  CHECK(relative_l2(in_double(single[0]), in_double(y)) < rounding<float>);
  CHECK(relative_l2(in_double(single[1]), in_double(dx)) < rounding<float>);
  CHECK(same_bits(single[0], serial[0]));
  CHECK(same_bits(single[1], serial[1]));
}
