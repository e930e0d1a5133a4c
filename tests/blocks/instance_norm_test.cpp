#include <fieldstep/blocks/instance_norm.hpp>
#include <support/allocations.hpp>
#include <support/drawn_weights.hpp>
#include <support/gradient.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 3, rows = 4, columns = 5, positions = rows * columns, channels = 12;
constexpr std::size_t count = samples * positions * channels;

/// A norm and the gradient of its result.
template <class Real, int Channels, int Positions>
struct Normed {
  using Norm = blocks::InstanceNorm2d<Real, Channels>;
  static constexpr std::size_t size = samples * Positions * Channels;
  Arena<Real> x = drawn<Real>("x", size, .4), dy = drawn<Real>("dy", size), base = drawn<Real>("base", size);
  Arena<Real> weight = drawn<Real>("weight", Channels, 1, .3);

  struct Gradients {
    Arena<Real> dx;
    Arena<Real> dweight = constant<Real>(Channels, Real(.5)), dbias = constant<Real>(Channels, Real(-2));
  };

  Gradients backward(const Exec& exec, bool based, const Arena<Real>& dx = constant<Real>(size)) const {
    const Gradients found{dx};
    const auto scratch = constant<Real>(2 * samples * Channels);
    const AllocationCounter counter;
    typename Norm::Weights w;
    w.weight = Tensor<const Real, Channels>(weight.data());
    const typename Norm::template Params<Real> dw{Tensor<Real, Channels>(found.dweight.data()),
                                                  Tensor<Real, Channels>(found.dbias.data())};
    Norm::backward(exec, w, samples, Positions, x.data(), dy.data(), based ? base.data() : nullptr, dx.data(), dw,
                   scratch.data());
    CHECK(counter.allocations() == 0);
    return found;
  }
  Gradients naive(bool based) const {
    const Gradients found{constant<Real>(size)};
    ops::instance_norm_backward_naive(Exec(), samples, Positions, Channels, Norm::eps, weight.data(), x.data(),
                                      dy.data(), based ? base.data() : nullptr, found.dx.data(), found.dweight.data(),
                                      found.dbias.data());
    return found;
  }
};

template <class Real, int Channels, int Positions>
void check_backward() {
  const Normed<Real, Channels, Positions> normed;
  for (const bool based : {false, true}) {
    const auto found = normed.backward(Exec(), based), alone = normed.backward(one_thread(), based);
    const auto exact = Normed<double, Channels, Positions>().naive(based);
    CHECK(relative_l2(in_double(found.dx), in_double(exact.dx)) < rounding<Real>);
    CHECK(relative_l2(in_double(found.dweight), in_double(exact.dweight)) < rounding<Real>);
    CHECK(relative_l2(in_double(found.dbias), in_double(exact.dbias)) < rounding<Real>);
    CHECK(same_bits(found.dx, alone.dx));
    CHECK(same_bits(found.dweight, alone.dweight));
    CHECK(same_bits(found.dbias, alone.dbias));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("InstanceNorm2d: agrees with its formula", "[blocks][instance_norm]", float, double) {
  using Norm = blocks::InstanceNorm2d<TestType, channels>;
  const DrawnWeights<Norm, TestType> weights;
  const auto x = drawn<TestType>("x", count, .4), y = constant<TestType>(count);
  const auto scale = constant<TestType>(samples * channels), shift = constant<TestType>(samples * channels);
  Norm::forward(Exec(), weights.weights(), samples, positions, x.data(), scale.data(), shift.data(), y.data());
  const auto exact = reference::instance_norm(reference::image_of(x, samples, rows, columns), weights.state()["weight"],
                                              weights.state()["bias"]);
  CHECK(relative_l2(in_double(y), channels_last(exact)) < rounding<TestType>);
}

TEST_CASE("InstanceNorm2d: a constant channel gives the bias", "[blocks][instance_norm]") {
  using Norm = blocks::InstanceNorm2d<double, channels>;
  const DrawnWeights<Norm, double> weights;
  const auto x = constant<double>(positions * channels, 3.), y = constant<double>(positions * channels);
  const auto scale = constant<double>(channels), shift = constant<double>(channels);
  Norm::forward(Exec(), weights.weights(), 1, positions, x.data(), scale.data(), shift.data(), y.data());
  for (std::size_t i = 0; i < y.size(); ++i)
    CHECK(std::abs(y.data()[i] - weights.state()["bias"][i % channels]) < 1e-12);
}

TEST_CASE("InstanceNorm2d: its gradients agree with central differences", "[blocks][instance_norm][gradient]") {
  const Normed<double, 3, 6> normed;
  const auto result = [&](const Numbers& x, const Numbers& weight, const Numbers& bias) {
    Numbers scale(samples * 3), shift(samples * 3), y(x.size());
    blocks::InstanceNorm2d<double, 3>::forward(
        Exec(), {Tensor<const double, 3>(weight.data()), Tensor<const double, 3>(bias.data())}, samples, 6, x.data(),
        scale.data(), shift.data(), y.data());
    return y;
  };
  const Numbers x = in_double(normed.x), weight = in_double(normed.weight), bias(3), dy = in_double(normed.dy);
  const auto dx = central_differences([&](const Numbers& v) { return result(v, weight, bias); }, x, dy);
  auto dweight = central_differences([&](const Numbers& v) { return result(x, v, bias); }, weight, dy);
  auto dbias = central_differences([&](const Numbers& v) { return result(x, weight, v); }, bias, dy);
  for (double& d : dweight) d += .5;  // what was there
  for (double& d : dbias) d -= 2;
  const auto naive = normed.naive(false);
  CHECK(relative_l2(in_double(naive.dx), dx) < 1e-10);
  CHECK(relative_l2(in_double(naive.dweight), dweight) < 1e-10);
  CHECK(relative_l2(in_double(naive.dbias), dbias) < 1e-10);
}

// (Of two positions the gradient would be a difference of equal numbers: xhat is 1 and -1 whatever they are.)
TEMPLATE_TEST_CASE_SIG("InstanceNorm2d: backward agrees with the naive version; equal bits for any threads",
                       "[blocks][instance_norm][property]", ((int Channels, int Positions), Channels, Positions),
                       (5, 3), (12, 20), (48, 64), (40, 131)) {
  check_backward<float, Channels, Positions>();
  check_backward<double, Channels, Positions>();
}

TEST_CASE("InstanceNorm2d: backward may overwrite the gradients it reads", "[blocks][instance_norm]") {
  const Normed<float, 12, 6> apart, over_dy, over_base;
  const auto dx = apart.backward(Exec(), true).dx;
  CHECK(same_bits(dx, over_dy.backward(Exec(), true, over_dy.dy).dx));
  CHECK(same_bits(dx, over_base.backward(Exec(), true, over_base.base).dx));
}

TEST_CASE("InstanceNorm2d: its gradient sums to zero over the positions", "[blocks][instance_norm]") {
  // What is added to all positions of a channel is taken out again: a bias in front of the norm has no gradient.
  const Normed<double, 12, 20> normed;
  const auto dx = normed.backward(Exec(), false).dx;
  for (int channel = 0; channel < 12; ++channel) {
    double sum = 0;
    for (int position = 0; position < 20; ++position) sum += dx.data()[position * 12 + channel];
    CHECK(std::abs(sum) < 1e-14);
  }
}
