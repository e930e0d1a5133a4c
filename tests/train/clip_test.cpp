#include <fieldstep/train/chain.hpp>
#include <fieldstep/train/clip.hpp>
#include <fieldstep/train/optimizer/sgd.hpp>
#include <support/allocations.hpp>
#include <support/small_parameters.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::WithinRel;

static_assert(train::GradientTransformation<train::ClipByGlobalNorm>);
static_assert(train::GradientTransformation<train::ClipGradNorm, double>);
static_assert(train::GradientTransformation<train::ClipByValue>);
static_assert(!train::GradientTransformation<train::SGD<>>);

TEMPLATE_TEST_CASE("global_norm: of what is trained, in double, equal bits for one thread and two",
                   "[train][clip][property]", float, double) {
  const auto not_last = [](const ParamEntry& entry) {
    return train::ParameterOptions{.frozen = entry.path.view() == "last"};
  };
  const train::ParameterGroups groups(small_table<TestType>, not_last);
  const auto gradient = small_arena<TestType>("gradient", 3);
  double squares = 0;
  for (const ParamEntry& entry : small_table<TestType>) {
    if (!entry.init.trained || not_last(entry).frozen) continue;
    for (std::size_t i = 0; i < entry.stored; ++i) squares += std::pow(double(gradient.data()[entry.offset + i]), 2);
  }
  const Arena<double> partial(groups.runs().size());
  const double norm = train::global_norm(Exec(), groups, gradient.data(), partial.data());
  CHECK_THAT(norm, WithinRel(std::sqrt(squares), 1e-12));
  CHECK(norm == train::global_norm(one_thread(), groups, gradient.data(), partial.data()));
}

TEST_CASE("ClipByGlobalNorm, ClipGradNorm: a factor, and the gradient untouched", "[train][clip]") {
  const train::ParameterGroups groups(small_table<double>);
  const auto gradient = small_arena<double>("gradient"), before = small_arena<double>("gradient");
  const double* weights = nullptr;
  const Exec exec;
  const auto factor = [&](const auto& clip, double of) {
    auto state = clip.template make_state<double>(groups);
    const AllocationCounter counter;
    const double result = clip.apply(exec, groups, 0, weights, gradient.data(), state, of);
    CHECK(counter.allocations() == 0);
    return std::pair(result, state.norm);
  };
  const double norm = factor(train::ClipGradNorm{1}, 1).second;
  CHECK(norm > 50);

  CHECK(factor(train::ClipByGlobalNorm{2 * norm}, 1).first == 1);
  CHECK_THAT(factor(train::ClipByGlobalNorm{norm / 4}, 1).first, WithinRel(.25, 1e-14));
  CHECK(factor(train::ClipGradNorm{2 * norm}, 1).first == 1);
  CHECK_THAT(factor(train::ClipGradNorm{norm / 4}, 1).first, WithinRel(.25 * norm / (norm + 1e-6), 1e-14));

  // Behind a link that multiplies by .5 there is half of the gradient to clip.
  CHECK(factor(train::ClipByGlobalNorm{norm * .51}, .5).first == .5);
  CHECK_THAT(factor(train::ClipByGlobalNorm{norm / 4}, .5).first, WithinRel(.25, 1e-14));
  CHECK_THAT(factor(train::ClipGradNorm{norm / 4}, .5).second, WithinRel(norm / 2, 1e-14));
  CHECK(same_bits(gradient, before));
}

TEMPLATE_TEST_CASE("ClipByValue: every entry, after the factor", "[train][clip]", float, double) {
  const train::ParameterGroups groups(small_table<TestType>);
  const auto gradient = small_arena<TestType>("gradient");
  const TestType* weights = nullptr;
  train::ClipByValue::State<TestType> state;
  CHECK(train::ClipByValue{.5}.apply(Exec(), groups, 0, weights, gradient.data(), state, 2) == 1);
  const Numbers clipped = trained_numbers(gradient), g = trained_numbers(small_arena<TestType>("gradient"));
  for (std::size_t i = 0; i < g.size(); ++i) CHECK(clipped[i] == std::clamp(2 * g[i], -.5, .5));
  CHECK(padding_is_zero(gradient));
}

TEST_CASE("Chain: links in order, the norm is that of what a link sees", "[train][chain]") {
  const train::ParameterGroups groups(small_table<double>);
  const auto weights = small_arena<double>("weights"), gradient = small_arena<double>("gradient");
  const Numbers w = trained_numbers(weights), g = trained_numbers(gradient);
  const train::Chain chain{train::ClipByValue{.5}, train::ClipByGlobalNorm{1}, train::SGD<>{.schedule = {1}}};
  auto state = chain.make_state<double>(groups);
  chain.step(Exec(), groups, 0, weights.data(), gradient.data(), state);
  double squares = 0;
  for (const double x : g) squares += std::pow(std::clamp(x, -.5, .5), 2);
  CHECK_THAT(std::get<1>(state.links).norm, WithinRel(std::sqrt(squares), 1e-14));
  Numbers wanted;
  for (std::size_t i = 0; i < w.size(); ++i) wanted.push_back(w[i] - std::clamp(g[i], -.5, .5) / std::sqrt(squares));
  CHECK(relative_l2(trained_numbers(weights), wanted) < 1e-15);
}
