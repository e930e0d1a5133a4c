#include <fieldstep/train/chain.hpp>
#include <fieldstep/train/clip.hpp>
#include <fieldstep/train/decayed_weights.hpp>
#include <fieldstep/train/ema.hpp>
#include <fieldstep/train/optimizer/adagrad.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/optimizer/adan.hpp>
#include <fieldstep/train/optimizer/amsgrad.hpp>
#include <fieldstep/train/optimizer/dadapt_adam.hpp>
#include <fieldstep/train/optimizer/dadapt_adan.hpp>
#include <fieldstep/train/optimizer/lion.hpp>
#include <fieldstep/train/optimizer/rmsprop.hpp>
#include <fieldstep/train/optimizer/sgd.hpp>
#include <fieldstep/train/parameter_rules.hpp>
#include <support/allocations.hpp>
#include <support/small_parameters.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <string>

using namespace fieldstep;
using namespace fieldstep::support;
using train::ParameterGroups;
using train::ParameterOptions;

// What every optimizer must hold. Their numbers: the golden case trainax/optimizers, adan_test.cpp, dadapt_test.cpp.

namespace {

/// Calls test(name, optimizer) for every optimizer with its options, and for chains.
template <class Test>
void for_all_optimizers(const Test& test) {
  using namespace train;
  const Constant rate{.1};
  test("SGD", SGD<>{.schedule = rate});
  test("SGD nesterov", SGD<>{.schedule = rate, .momentum = .9, .nesterov = true});
  test("Adam", Adam<>{.schedule = rate, .eps = 0, .nesterov = true});
  test("AdamW", AdamW<>{.schedule = rate, .weight_decay = .1});
  test("AMSGrad", AMSGrad<>{.schedule = rate, .eps = 0});
  test("RMSprop", RMSprop<>{.schedule = rate, .eps = 0, .bias_correction = true});
  test("RMSprop centered", RMSprop<>{.schedule = rate, .initial_scale = .1, .eps_in_sqrt = false, .centered = true});
  test("RMSprop momentum", RMSprop<>{.schedule = rate, .momentum = .9, .nesterov = true});
  test("RMSprop both", RMSprop<>{.schedule = rate, .centered = true, .momentum = .9});
  test("Adagrad", Adagrad<>{.schedule = rate, .initial_accumulator = 0, .eps = 0});
  test("Lion", Lion<>{.schedule = rate});
  test("Adan", Adan<>{.schedule = rate, .weight_decay = .1, .eps = 0});
  test("DAdaptAdan", DAdaptAdan<>{.weight_decay = .1, .eps = 0, .d0 = 1e-2});
  test("DAdaptAdam", DAdaptAdam<>{.weight_decay = .1, .eps = 0, .d0 = 1e-2});
  test("Chain", Chain{ClipGradNorm{1}, DAdaptAdan<>{}});
  test("long Chain",
       Chain{ClipByValue{.5}, AddDecayedWeights{.1}, ClipByGlobalNorm{1}, GradientEma{.9}, Adam<>{.schedule = rate}});
}

/// A run of some updates with given gradients.
template <class Optimizer, class Real>
struct Run {
  Optimizer optimizer;
  const ParameterGroups& groups;
  Arena<Real> weights = small_arena<Real>("weights");
  typename Optimizer::template State<Real> state = optimizer.template make_state<Real>(groups);

  void update(const Exec& exec, long t, double factor = 1) {
    const auto gradient = small_arena<Real>("gradient " + std::to_string(t));
    optimizer.step(exec, groups, t, weights.data(), gradient.data(), state, factor);
  }
  void updates(const Exec& exec, long first, long last) {
    for (long t = first; t < last; ++t) update(exec, t);
  }
};

ParameterOptions freeze_table(const ParamEntry& entry) { return {.frozen = entry.path.view() == "table"}; }

template <class Real>
bool same_parameter(const ParamEntry& entry, const Arena<Real>& a, const Arena<Real>& b) {
  return std::memcmp(a.data() + entry.offset, b.data() + entry.offset, entry.stored * sizeof(Real)) == 0;
}

}  // namespace

TEMPLATE_TEST_CASE("optimizers: padding stays zero; buffers, frozen parameters and gaps keep their bits",
                   "[train][optimizer][property]", float, double) {
  const ParameterGroups groups(small_table<TestType>, freeze_table);
  for_all_optimizers([&](const char* name, const auto& optimizer) {
    INFO(name);
    Run<std::remove_cvref_t<decltype(optimizer)>, TestType> run{optimizer, groups};
    run.updates(Exec(), 0, 5);
    CHECK(padding_is_zero(run.weights));
    const auto before = small_arena<TestType>("weights");
    const auto rest = small_arena<TestType>("weights");  // with what is trained put in from the run
    for (const ParamEntry& entry : small_table<TestType>) {
      const bool still = !entry.init.trained || freeze_table(entry).frozen;
      CHECK(same_parameter(entry, run.weights, before) == still);
      std::copy_n(run.weights.data() + entry.offset, entry.stored, rest.data() + entry.offset);
    }
    CHECK(same_bits(rest, run.weights));
    for (const double w : trained_numbers(run.weights)) CHECK(std::isfinite(w));
  });
}

TEMPLATE_TEST_CASE("optimizers: equal bits for one thread and two, and from run to run", "[train][optimizer][property]",
                   float, double) {
  const ParameterGroups groups(small_table<TestType>, train::mpp_weight_decay);
  for_all_optimizers([&](const char* name, const auto& optimizer) {
    INFO(name);
    Run<std::remove_cvref_t<decltype(optimizer)>, TestType> two{optimizer, groups}, again{optimizer, groups},
        one{optimizer, groups};
    two.updates(Exec(), 0, 4);
    again.updates(Exec(), 0, 4);
    one.updates(one_thread(), 0, 4);
    CHECK(same_bits(two.weights, again.weights));
    CHECK(same_bits(two.weights, one.weights));
  });
}

TEMPLATE_TEST_CASE("optimizers: what visit() shows is all that a run remembers", "[train][optimizer][property]", float,
                   double) {
  const ParameterGroups groups(small_table<TestType>);
  for_all_optimizers([&](const char* name, const auto& optimizer) {
    INFO(name);
    using Optimizer = std::remove_cvref_t<decltype(optimizer)>;
    Run<Optimizer, TestType> whole{optimizer, groups}, first_half{optimizer, groups}, second_half{optimizer, groups};
    whole.updates(Exec(), 0, 6);
    first_half.updates(Exec(), 0, 3);
    second_half.weights = first_half.weights;

    std::map<std::string, Arena<TestType>> arrays;
    std::map<std::string, double> numbers;
    first_half.state.visit([&](std::string_view of, auto& value) {
      const auto added = [&] {
        if constexpr (std::is_same_v<decltype(value), double&>)
          return numbers.emplace(of, value).second;
        else
          return arrays.emplace(of, value).second;
      }();
      CHECK(added);  // every name once
    });
    second_half.state.visit([&](std::string_view of, auto& value) {
      if constexpr (std::is_same_v<decltype(value), double&>)
        value = numbers.at(std::string(of));
      else
        value = arrays.at(std::string(of));
    });
    second_half.updates(Exec(), 3, 6);
    CHECK(same_bits(whole.weights, second_half.weights));
  });
}

TEMPLATE_TEST_CASE("optimizers: a factor is as good as a gradient that was multiplied by it",
                   "[train][optimizer][property]", float, double) {
  const ParameterGroups groups(small_table<TestType>);
  for_all_optimizers([&](const char* name, const auto& optimizer) {
    INFO(name);
    using Optimizer = std::remove_cvref_t<decltype(optimizer)>;
    Run<Optimizer, TestType> with_factor{optimizer, groups}, multiplied{optimizer, groups};
    for (long t = 0; t < 4; ++t) {
      with_factor.update(Exec(), t, .25);
      const auto gradient = small_arena<TestType>("gradient " + std::to_string(t), .25);
      optimizer.step(Exec(), groups, t, multiplied.weights.data(), gradient.data(), multiplied.state);
    }
    CHECK(relative_l2(trained_numbers(with_factor.weights), trained_numbers(multiplied.weights)) < rounding<TestType>);
  });
}

TEST_CASE("optimizers: a step allocates nothing", "[train][optimizer]") {
  const ParameterGroups groups(small_table<float>);
  const auto gradient = small_arena<float>("gradient");
  const Exec exec;
  for_all_optimizers([&](const char* name, const auto& optimizer) {
    INFO(name);
    Run<std::remove_cvref_t<decltype(optimizer)>, float> run{optimizer, groups};
    std::int64_t allocations = 0;
    {
      const AllocationCounter counter;
      for (long t = 0; t < 2; ++t) optimizer.step(exec, groups, t, run.weights.data(), gradient.data(), run.state);
      allocations = counter.allocations();
    }
    CHECK(allocations == 0);
  });
}

TEST_CASE("optimizers: the rate and the decay of a group", "[train][optimizer]") {
  const auto options = [](const ParamEntry& entry) {
    return entry.path.view() == "last" ? ParameterOptions{.rate = .5, .decay = 0} : ParameterOptions{};
  };
  const auto options_of = [&](auto member) {
    return for_each_trained<double>([&](const ParamEntry& entry) { return options(entry).*member; });
  };
  const Numbers rate = options_of(&ParameterOptions::rate), decay = options_of(&ParameterOptions::decay);
  const ParameterGroups groups(small_table<double>, options);
  Run<train::SGD<>, double> sgd{{.schedule = {.1}}, groups};
  Run<train::AdamW<>, double> adamw{{.schedule = {.1}, .weight_decay = .2, .eps = 0}, groups};
  sgd.update(Exec(), 0);
  adamw.update(Exec(), 0);
  const Numbers w = trained_numbers(small_arena<double>("weights")),
                g = trained_numbers(small_arena<double>("gradient 0")), by_sgd = trained_numbers(sgd.weights),
                by_adamw = trained_numbers(adamw.weights);
  double error = 0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    error = std::max(error, std::abs(w[i] - .1 * rate[i] * g[i] - by_sgd[i]));
    const double sign = g[i] > 0 ? 1 : -1;  // Adam's first direction
    error = std::max(error, std::abs(w[i] - .1 * rate[i] * (sign + .2 * decay[i] * w[i]) - by_adamw[i]));
  }
  CHECK(error < 1e-12);
}

TEST_CASE("D-Adaptation: refuses groups with a learning rate of their own", "[train][optimizer]") {
  const ParameterGroups groups(small_table<float>, [](const ParamEntry&) { return ParameterOptions{.rate = 2}; });
  CHECK_THROWS_AS(train::DAdaptAdan<>{}.make_state<float>(groups), Error);
  CHECK_THROWS_AS(train::DAdaptAdam<>{}.make_state<float>(groups), Error);
}
