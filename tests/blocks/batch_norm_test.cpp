#include <fieldstep/blocks/batch_norm.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_scot.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 3, rows = 5, columns = 7, dim = 20, tokens = samples * rows * columns;

template <class Real>
Numbers applied(const ops::ChannelAffine<Real>& affine, const Arena<Real>& x) {
  CHECK(affine.step == 0);
  Numbers y = in_double(x);
  for (std::size_t i = 0; i < y.size(); ++i)
    y[i] = static_cast<double>(affine.scale[i % dim]) * y[i] + static_cast<double>(affine.shift[i % dim]);
  return y;
}

}  // namespace

TEMPLATE_TEST_CASE("BatchNorm: in inference by the running statistics", "[blocks][batch_norm]", float, double) {
  using Norm = blocks::BatchNorm<TestType, dim>;
  const DrawnWeights<Norm, TestType> weights;
  const auto x = drawn<TestType>("x", tokens * dim), memory = constant<TestType>(2 * dim);
  const auto exact = reference::batch_norm(weights.state(), reference::image_of(x, samples, rows, columns), false);
  CHECK(relative_l2(applied(Norm::affine(weights.weights(), memory.data()), x), channels_last(exact)) <
        rounding<TestType>);
}

TEMPLATE_TEST_CASE("BatchNorm: in training by the batch, whose unbiased variance the running one takes in",
                   "[blocks][batch_norm]", float, double) {
  using Norm = blocks::BatchNorm<TestType, dim>;
  const DrawnWeights<Norm, TestType> weights;
  const auto x = drawn<TestType>("x", tokens * dim, 3), memory = constant<TestType>(2 * dim);  // far from zero
  const auto after = constant<TestType>(arena_count<typename Norm::template Params<TestType>>());
  const auto running = bind<typename Norm::template Params<TestType>>(after.data());
  const auto image = reference::image_of(x, samples, rows, columns);
  const auto train = [&](const Exec& exec) {
    return Norm::affine(exec, weights.weights(), tokens, x.data(), memory.data(), running);
  };
  const double bound = 4 * rounding<TestType>;  // of values around 3, whose deviation is .6
  CHECK(relative_l2(applied(train(Exec()), x), channels_last(reference::batch_norm(weights.state(), image, true))) <
        bound);
  const auto exact = reference::batch_statistics(weights.state(), image);
  const auto statistics = [](const auto& tensor) { return Numbers(tensor.data_handle(), tensor.data_handle() + dim); };
  CHECK(relative_l2(statistics(running.running_mean), exact.running_mean) < rounding<TestType>);
  CHECK(relative_l2(statistics(running.running_var), exact.running_var) < rounding<TestType>);

  const auto threaded = drawn<TestType>("threaded", 2 * dim);
  std::copy_n(memory.data(), 2 * dim, threaded.data());
  train(one_thread());
  CHECK(same_bits(memory, threaded));
}
