#include <fieldstep/blocks/rms_instance_norm.hpp>
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

/// A norm that ends a residual branch, and the gradient of its result.
template <class Real, int Channels, int Positions>
struct Branch {
  using Norm = blocks::RMSInstanceNorm2d<Real, Channels>;
  static constexpr std::size_t size = samples * Positions * Channels;
  Arena<Real> x = drawn<Real>("x", size, .4), dy = drawn<Real>("dy", size), base = drawn<Real>("base", size);
  Arena<Real> weight = drawn<Real>("weight", Channels, 1, .3), gamma = drawn<Real>("gamma", Channels, 1, .5);
  Arena<Real> keep = drawn<Real>("keep", samples, 1);

  struct Gradients {
    Arena<Real> dx;
    Arena<Real> dweight = constant<Real>(Channels, Real(.5)), dgamma = constant<Real>(Channels, Real(-2));
  };

  Gradients backward(const Exec& exec, bool scaled, bool based, const Arena<Real>& dx = constant<Real>(size)) const {
    const Gradients found{dx};
    const auto scratch = constant<Real>(samples * Channels);
    const AllocationCounter counter;
    typename Norm::Weights w;
    typename Norm::template Params<Real> dw;
    w.weight = Tensor<const Real, Channels>(weight.data()), dw.weight = Tensor<Real, Channels>(found.dweight.data());
    typename Norm::Branch branch;
    if (scaled) branch = {gamma.data(), keep.data(), found.dgamma.data()};
    Norm::backward(exec, w, samples, Positions, x.data(), dy.data(), based ? base.data() : nullptr, dx.data(), dw,
                   scratch.data(), branch);
    CHECK(counter.allocations() == 0);
    return found;
  }
  Gradients naive(bool scaled, bool based) const {
    const Gradients found{constant<Real>(size)};
    ops::rms_instance_norm_backward_naive(Exec(), samples, Positions, Channels, Norm::eps, weight.data(),
                                          scaled ? gamma.data() : nullptr, scaled ? keep.data() : nullptr, x.data(),
                                          dy.data(), based ? base.data() : nullptr, found.dx.data(),
                                          found.dweight.data(), scaled ? found.dgamma.data() : nullptr);
    return found;
  }
};

template <class Real, int Channels, int Positions>
void check_backward() {
  const Branch<Real, Channels, Positions> branch;
  const Branch<double, Channels, Positions> exact_branch;
  for (const bool scaled : {false, true})
    for (const bool based : {false, true}) {
      const auto found = branch.backward(Exec(), scaled, based), alone = branch.backward(one_thread(), scaled, based);
      const auto exact = exact_branch.naive(scaled, based);
      CHECK(relative_l2(in_double(found.dx), in_double(exact.dx)) < rounding<Real>);
      CHECK(relative_l2(in_double(found.dweight), in_double(exact.dweight)) < rounding<Real>);
      CHECK(relative_l2(in_double(found.dgamma), in_double(exact.dgamma)) < rounding<Real>);
      CHECK(same_bits(found.dx, alone.dx));
      CHECK(same_bits(found.dweight, alone.dweight));
      CHECK(same_bits(found.dgamma, alone.dgamma));
    }
}

}  // namespace

TEMPLATE_TEST_CASE("RMSInstanceNorm2d: agrees with its formula", "[blocks][rms_instance_norm]", float, double) {
  using Norm = blocks::RMSInstanceNorm2d<TestType, channels>;
  const DrawnWeights<Norm, TestType> weights;
  const auto x = drawn<TestType>("x", count, .4), y = constant<TestType>(count);
  const auto scale = constant<TestType>(samples * channels);
  Norm::forward(Exec(), weights.weights(), samples, positions, x.data(), scale.data(), y.data());
  const auto exact =
      reference::rms_instance_norm(reference::image_of(x, samples, rows, columns), weights.state()["weight"]);
  CHECK(relative_l2(in_double(y), channels_last(exact)) < rounding<TestType>);
}

TEST_CASE("RMSInstanceNorm2d: its bias is never used, its mean stays, one position gives NaN",
          "[blocks][rms_instance_norm]") {
  using Norm = blocks::RMSInstanceNorm2d<double, 1>;
  const auto weight = constant<double>(1, 2.), bias = constant<double>(1), scale = constant<double>(1);
  Norm::Weights w;
  w.weight = Tensor<const double, 1>(weight.data()), w.bias = Tensor<const double, 1>(bias.data());
  const auto x = constant<double>(2, 1.), y = constant<double>(2);
  x.data()[1] = 3;  // sigma = sqrt(2)
  Norm::forward(Exec(), w, 1, 2, x.data(), scale.data(), y.data());
  CHECK(std::abs(y.data()[0] - 2 / (std::sqrt(2.) + 1e-8)) < 1e-15);
  CHECK(std::abs(y.data()[1] - 6 / (std::sqrt(2.) + 1e-8)) < 1e-15);
  Norm::scales(Exec(), w, 1, 1, x.data(), scale.data());
  CHECK(std::isnan(scale.data()[0]));
}

TEST_CASE("RMSInstanceNorm2d: its gradients agree with central differences", "[blocks][rms_instance_norm][gradient]") {
  const Branch<double, 3, 6> branch;
  const auto result = [&](const Numbers& x, const Numbers& weight, const Numbers& gamma) {
    blocks::RMSInstanceNorm2d<double, 3>::Weights w;
    w.weight = Tensor<const double, 3>(weight.data());
    Numbers scale(samples * 3), y(x.size());
    blocks::RMSInstanceNorm2d<double, 3>::scales(Exec(), w, samples, 6, x.data(), scale.data());
    ops::add_scaled_branch_naive(Exec(), samples, 6, 3, x.data(), scale.data(), gamma.data(), branch.keep.data(),
                                 y.data(), y.data());
    return y;
  };
  const Numbers x = in_double(branch.x), weight = in_double(branch.weight), gamma = in_double(branch.gamma);
  const Numbers dy = in_double(branch.dy);
  const auto dx = central_differences([&](const Numbers& v) { return result(v, weight, gamma); }, x, dy);
  auto dweight = central_differences([&](const Numbers& v) { return result(x, v, gamma); }, weight, dy);
  auto dgamma = central_differences([&](const Numbers& v) { return result(x, weight, v); }, gamma, dy);
  for (double& d : dweight) d += .5;  // what was there
  for (double& d : dgamma) d -= 2;
  const auto naive = branch.naive(true, false);
  CHECK(relative_l2(in_double(naive.dx), dx) < 1e-10);
  CHECK(relative_l2(in_double(naive.dweight), dweight) < 1e-10);
  CHECK(relative_l2(in_double(naive.dgamma), dgamma) < 1e-10);
}

TEMPLATE_TEST_CASE_SIG("RMSInstanceNorm2d: backward agrees with the naive version; equal bits for any threads",
                       "[blocks][rms_instance_norm][property]", ((int Channels, int Positions), Channels, Positions),
                       (5, 2), (12, 20), (48, 64), (40, 131)) {
  check_backward<float, Channels, Positions>();
  check_backward<double, Channels, Positions>();
}

TEST_CASE("RMSInstanceNorm2d: backward may overwrite the gradients it reads", "[blocks][rms_instance_norm]") {
  const Branch<float, 12, 6> apart, over_dy, over_base;
  const auto dx = apart.backward(Exec(), true, true).dx;
  CHECK(same_bits(dx, over_dy.backward(Exec(), true, true, over_dy.dy).dx));
  CHECK(same_bits(dx, over_base.backward(Exec(), true, true, over_base.base).dx));
}

TEST_CASE("RMSInstanceNorm2d: nothing goes through the deviation of a constant channel",
          "[blocks][rms_instance_norm]") {
  const Branch<float, 4, 6> branch;
  std::fill_n(branch.x.data(), branch.x.size(), 3.f);
  std::fill_n(branch.weight.data(), 4, .5f);
  const auto found = branch.backward(Exec(), false, false);
  for (std::size_t i = 0; i < found.dx.size(); ++i)
    CHECK(found.dx.data()[i] == branch.dy.data()[i] * (.5f * (1 / 1e-8f)));
  CHECK(same_bits(found.dx, branch.naive(false, false).dx));
}

TEST_CASE("RMSInstanceNorm2d: of a dropped sample the residual's gradient alone is left",
          "[blocks][rms_instance_norm]") {
  const Branch<float, 4, 6> branch;
  std::fill_n(branch.keep.data(), samples, 0.f);
  const auto found = branch.backward(Exec(), true, true);
  CHECK(same_bits(found.dx, branch.base));
  CHECK(same_bits(found.dweight, constant<float>(4, .5f)));
  CHECK(same_bits(found.dgamma, constant<float>(4, -2.f)));
}
