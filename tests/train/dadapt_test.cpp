#include <fieldstep/train/optimizer/dadapt_adam.hpp>
#include <fieldstep/train/optimizer/dadapt_adan.hpp>
#include <fieldstep/train/parameter_rules.hpp>
#include <support/small_parameters.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <string>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

/// DAdaptAdan of dadaptation, number by number, sums in the order of the numbers.
struct PlainDAdaptAdan {
  double d, growth_rate, gsq = 0;
  Numbers m{}, v{}, n{}, s{}, p{};

  void step(Numbers& w, const Numbers& g, const Numbers& decay, double lr) {
    const double b1 = .98, b2 = .92, b3 = .99, eps = 1e-8, dlr = d * lr;
    if (p.empty()) {
      for (Numbers* all : {&m, &v, &n, &s}) all->assign(w.size(), 0);
      p = g;
    }
    double G = 0, Q = 0, L1 = 0;
    Numbers den(w.size());
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double u = g[i] - p[i];
      m[i] = b1 * m[i] + dlr * (1 - b1) * g[i];
      v[i] = b2 * v[i] + dlr * (1 - b2) * u;
      n[i] = b3 * n[i] + (1 - b3) * std::pow(g[i] + b2 * u, 2);
      den[i] = std::sqrt(n[i]) + eps;
      G += g[i] * g[i] / den[i];
      s[i] = b3 * s[i] + dlr * (1 - b3) * g[i];
      Q += s[i] * s[i] / den[i];
      L1 += std::abs(s[i]);
    }
    gsq = b3 * gsq + G * dlr * dlr * (1 - b3);
    if (L1 == 0) return;
    if (lr > 0) d = std::max(d, std::min((Q / (1 - b3) - gsq) / L1, growth_rate * d));
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = (w[i] - (m[i] + b2 * v[i]) / den[i]) / (1 + dlr * decay[i]);
    p = g;
  }
};

/// DAdaptAdam of dadaptation with decoupled decay.
struct PlainDAdaptAdam {
  double d, growth_rate, W = 0;
  Numbers m{}, n{}, s{};

  void step(Numbers& w, const Numbers& g, const Numbers& decay, double lr) {
    const double b1 = .9, b2 = .999, eps = 1e-8, dlr = d * lr, r2 = std::sqrt(b2);
    if (m.empty())
      for (Numbers* all : {&m, &n, &s}) all->assign(w.size(), 0);
    double A = 0, L1 = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      A += dlr * g[i] * s[i] / (std::sqrt(n[i]) + eps);
      m[i] = b1 * m[i] + dlr * (1 - b1) * g[i];
      n[i] = b2 * n[i] + (1 - b2) * g[i] * g[i];
      s[i] = r2 * s[i] + dlr * (1 - r2) * g[i];
      L1 += std::abs(s[i]);
    }
    W = r2 * W + (1 - r2) * A;
    if (L1 == 0) return;
    if (lr > 0) d = std::max(d, std::min(W / ((1 - r2) * L1), growth_rate * d));
    for (std::size_t i = 0; i < w.size(); ++i) {
      w[i] -= decay[i] * dlr * w[i];
      w[i] -= m[i] / (std::sqrt(n[i]) + eps);
    }
  }
};

/// A warm-up whose first two updates are empty, then one against the gradient: d grows only where it is positive.
double schedule(long t) { return t < 2 ? 0 : t == 9 ? -.5 : 1; }

/// The gradient of a bowl around some goal, and noise: d grows until it knows how far away the goal is.
template <class Real>
Arena<Real> gradient(const Arena<Real>& weights, long t) {
  const auto g = small_arena<Real>("noise " + std::to_string(t), .1), goal = small_arena<Real>("goal");
  for (std::size_t i = 0; i < g.size(); ++i) g.data()[i] += weights.data()[i] - goal.data()[i];
  return g;
}

/// Weights and d beside the plain loops', relative, update by update.
template <class Real, class Plain, class Optimizer>
void compare(Optimizer optimizer) {
  const train::ParameterGroups groups(small_table<Real>, train::mpp_weight_decay);
  for (const double growth_rate : {1.05, std::numeric_limits<double>::infinity()}) {
    optimizer.growth_rate = growth_rate;
    auto state = optimizer.template make_state<Real>(groups);
    const auto weights = small_arena<Real>("weights");
    Plain plain{.d = optimizer.d0, .growth_rate = growth_rate};
    Numbers w = trained_numbers(weights);
    const Numbers decay = for_each_trained<Real>(
        [&](const ParamEntry& e) { return optimizer.weight_decay * train::mpp_weight_decay(e).decay; });
    for (long t = 0; t < 12; ++t) {
      CAPTURE(growth_rate, t, state.d);
      const auto g = gradient(weights, t);
      optimizer.step(Exec(), groups, t, weights.data(), g.data(), state);
      plain.step(w, trained_numbers(g), decay, schedule(t));
      REQUIRE(relative_l2(trained_numbers(weights), w) < (std::is_same_v<Real, float> ? 5e-6 : 1e-12));
      REQUIRE(std::abs(state.d / plain.d - 1) < (std::is_same_v<Real, float> ? 5e-6 : 1e-12));
    }
    CHECK(state.d > 1.3 * optimizer.d0);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("DAdaptAdan: agrees with plain loops, number by number", "[train][optimizer]", float, double) {
  compare<TestType, PlainDAdaptAdan>(
      train::DAdaptAdan<double (*)(long)>{.schedule = schedule, .weight_decay = .3, .d0 = .01});
}

TEMPLATE_TEST_CASE("DAdaptAdam: agrees with plain loops, number by number", "[train][optimizer]", float, double) {
  compare<TestType, PlainDAdaptAdam>(
      train::DAdaptAdam<double (*)(long)>{.schedule = schedule, .weight_decay = .3, .d0 = .01});
}
