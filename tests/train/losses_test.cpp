#include <fieldstep/train/loss/composite.hpp>
#include <fieldstep/train/loss/concept.hpp>
#include <fieldstep/train/loss/newest_frame.hpp>
#include <support/allocations.hpp>
#include <support/any_loss.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;
using namespace fieldstep::train;

namespace {

/// One that a user brings: nothing of the library knows it.
struct MeanCosh {
  static constexpr bool needs_target = false;
  template <class Exec, class Real>
  double operator()(const Exec&, int samples, std::size_t size, const Real* y, const Real* target, double weight,
                    Real* dy, Real* dtarget) const {
    const double count = samples * static_cast<double>(size);
    double value = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(samples) * size; ++i) {
      const double d = static_cast<double>(y[i]) - static_cast<double>(target ? target[i] : Real(0));
      value += std::cosh(d) / count;
      if (dy) dy[i] += static_cast<Real>(weight * std::sinh(d) / count);
      if (dtarget) dtarget[i] -= static_cast<Real>(weight * std::sinh(d) / count);
    }
    return value;
  }
};
static_assert(RolloutLoss<MeanCosh, double>);

constexpr int samples = 3;
constexpr std::size_t size = 37;  // whole vectors and a rest

template <class Loss>
double value(const Loss& loss, const double* y, const double* target, double* dy = nullptr, double* dtarget = nullptr,
             double weight = 1) {
  return loss(Exec(), samples, size, y, target, weight, dy, dtarget);
}

}  // namespace

TEMPLATE_TEST_CASE("Losses: both gradients agree with central differences, are weighted and added", "[train][loss]",
                   MSE<>, MAE<>, RMSE<>, MSE<Sum>, RMSE<Max>, Lp<>, Huber<>, NormalizedMSE<>, NormalizedMAE<Sum>,
                   NormalizedRMSE<>, NormalizedLp<Max>, MeanCosh) {
  TestType loss;
  if constexpr (requires { loss.p; }) loss.p = 3;
  if constexpr (requires { loss.delta; }) loss.delta = .4;
  const Arena<double> y = drawn<double>("loss/y", samples * size),
                      target = drawn<double>("loss/target", samples * size), dy = constant<double>(samples * size, 7),
                      dtarget = constant<double>(samples * size, -2);
  value(loss, y.data(), target.data(), dy.data(), dtarget.data(), .5);
  const auto difference = [&](double& number) {
    const double before = number, step = 1e-6;
    number = before + step;
    const double above = value(loss, y.data(), target.data());
    number = before - step;
    const double below = value(loss, y.data(), target.data());
    number = before;
    return (above - below) / (2 * step);
  };
  for (std::size_t i = 0; i < samples * size; i += 5) {
    CHECK_THAT(dy.data()[i] - 7, WithinAbs(.5 * difference(y.data()[i]), 1e-8));
    CHECK_THAT(dtarget.data()[i] + 2, WithinAbs(.5 * difference(target.data()[i]), 1e-8));
  }
}

TEST_CASE("Losses: values by hand", "[train][loss]") {
  const double y[] = {1, -2, 3, 0}, target[] = {0, 0, 1, 2};  // two samples of two
  double* none = nullptr;
  const auto of = [&](const auto& loss) { return loss(Exec(), 2, 2, y, target, 1, none, none); };
  CHECK(of(MSE<>()) == (2.5 + 4) / 2);
  CHECK(of(MSE<Sum>()) == 6.5);
  CHECK(of(MSE<Max>()) == 4);
  CHECK(of(MAE<>()) == (1.5 + 2) / 2);
  CHECK(of(RMSE<Max>()) == 2);
  CHECK_THAT(of(Lp<Sum>{.p = 3}), WithinRel(std::cbrt(4.5) + 2, 1e-14));
  CHECK(of(Huber<Sum>{.delta = 1}) == (.5 + 1.5) / 2 + 1.5);
  CHECK(of(NormalizedMSE<Max>()) == INFINITY);  // no epsilon
  CHECK(std::isnan(NormalizedMSE<>()(Exec(), 1, 1, target, target, 1., none, none)));
  CHECK(of(CompositeLoss{std::tuple{MSE<>(), MAE<>()}, std::array{2., -1.}}) == 6.5 - 1.75);
  CHECK(of(NewestFrame<MSE<>>{.frames = 2}) == (4 + 4) / 2.);
}

TEST_CASE("Losses: where nothing differs, the gradients are zero and not NaN", "[train][loss]") {
  const Arena<double> y = drawn<double>("loss/y", samples * size), dy = constant<double>(samples * size, 0),
                      dtarget = constant<double>(samples * size, 0);
  const auto zero = [&](const auto& loss) {
    CHECK(value(loss, y.data(), y.data(), dy.data(), dtarget.data()) == 0);
    for (std::size_t i = 0; i < samples * size; ++i) CHECK((dy.data()[i] == 0 && dtarget.data()[i] == 0));
  };
  zero(MAE<>()), zero(RMSE<>()), zero(Lp<>{.p = 3}), zero(NormalizedRMSE<>());
}

TEST_CASE("Losses: samples that share the largest value share the gradient", "[train][loss]") {
  const double y[] = {2, 1, -2};
  double dy[3] = {}, *none = nullptr;
  CHECK(MSE<Max>()(Exec(), 3, 1, y, none, 1., dy, none) == 4);
  CHECK((dy[0] == 2 && dy[1] == 0 && dy[2] == -2));
}

TEST_CASE("Losses: relative ones want a target", "[train][loss]") {
  const double y[] = {1};
  double* none = nullptr;
  CHECK_THROWS_MATCHES(NormalizedMAE<>()(Exec(), 1, 1, y, none, 1., none, none), Error,
                       MessageMatches(ContainsSubstring("NormalizedMAE: there is no target")));
  CHECK_THROWS_MATCHES(NewestFrame<MSE<>>{.frames = 3}(Exec(), 1, 4, y, none, 1., none, none), Error,
                       MessageMatches(ContainsSubstring("NewestFrame: found states of 4 numbers, wanted 3 frames")));
}

TEST_CASE("Losses: equal bits for one thread and for all, and no allocation", "[train][loss][threads]") {
  constexpr int many = 70;  // more than one group
  constexpr std::size_t large = 3000;
  const Arena<float> y = drawn<float>("loss/y", many * large), target = drawn<float>("loss/t", many * large);
  const auto run = [&](const Exec& exec, const auto& loss) {
    const Arena<float> gradient = constant<float>(many * large, 0);
    float* none = nullptr;
    const AllocationCounter counter;
    const double found = loss(exec, many, large, y.data(), target.data(), 1, gradient.data(), none);
    CHECK(counter.allocations() == 0);
    return std::pair{found, gradient};
  };
  const auto same = [&](const auto& loss) {
    const auto [one_value, one] = run(one_thread(), loss);
    const auto [all_value, all] = run(Exec(), loss);
    CHECK(one_value == all_value);
    CHECK(same_bits(one, all));
  };
  same(MSE<>()), same(NormalizedRMSE<Max>());
}
