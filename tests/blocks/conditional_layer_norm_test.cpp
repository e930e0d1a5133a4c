#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_scot.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 3, rows = 2, columns = 5, dim = 20;

/// x normalised as a block does it: the norm's scale and shift first, then the operation.
template <class Norm, class Real>
Arena<Real> normalised(const Exec& exec, const DrawnWeights<Norm, Real>& weights, const Arena<Real>& x,
                       const Arena<Real>& time) {
  const auto affine = constant<Real>(2 * samples * dim), y = constant<Real>(x.size());
  ops::layer_norm<dim>(exec, samples, rows * columns, static_cast<const Real*>(x.data()),
                       Norm::affine(weights.weights(), samples, time.data(), affine.data()), 1e-5, y.data());
  return y;
}

}  // namespace

TEMPLATE_TEST_CASE("ConditionalLayerNorm: every sample is scaled and shifted at its own lead time",
                   "[blocks][conditional_layer_norm]", float, double) {
  using Norm = blocks::ConditionalLayerNorm<TestType, dim>;
  const DrawnWeights<Norm, TestType> weights;
  const auto x = drawn<TestType>("x", samples * rows * columns * dim);
  const auto time = drawn<TestType>("time", samples, .5, .5);
  const auto y = normalised<Norm>(Exec(), weights, x, time);
  const auto exact =
      reference::token_norm(weights.state(), reference::image_of(x, samples, rows, columns), in_double(time));
  CHECK(relative_l2(in_double(y), channels_last(exact)) < rounding<TestType>);
  CHECK(same_bits(y, normalised<Norm>(one_thread(), weights, x, time)));
}

TEMPLATE_TEST_CASE("LayerNorm: may stand in the place of a conditional one", "[blocks][layer_norm]", float, double) {
  using Norm = blocks::LayerNorm<TestType, dim>;
  const DrawnWeights<Norm, TestType> weights;
  const auto x = drawn<TestType>("x", samples * rows * columns * dim);
  const auto exact = reference::token_norm(weights.state(), reference::image_of(x, samples, rows, columns), {});
  CHECK(relative_l2(in_double(normalised<Norm>(Exec(), weights, x, constant<TestType>(samples))),
                    channels_last(exact)) < rounding<TestType>);
}
