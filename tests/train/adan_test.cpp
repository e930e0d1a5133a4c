#include <fieldstep/train/optimizer/adan.hpp>
#include <fieldstep/train/parameter_rules.hpp>
#include <support/small_parameters.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <cmath>
#include <string>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

/// adan_pytorch's step, number by number, with its own (1 - usual) betas.
class PlainAdan {
 public:
  void step(Numbers& w, const Numbers& g, const Numbers& decay, double lr) {
    const double b1 = .02, b2 = .08, b3 = .01, eps = 1e-8;
    if (t_ == 0)
      for (Numbers* all : {&m_, &v_, &n_, &p_}) all->assign(w.size(), 0);
    const double c1 = 1 / (1 - std::pow(1 - b1, t_ + 1)), c2 = 1 / (1 - std::pow(1 - b2, t_ + 1)),
                 c3 = 1 / (1 - std::pow(1 - b3, t_ + 1));
    for (std::size_t i = 0; i < w.size(); ++i) {
      if (t_ > 0) {
        m_[i] = (1 - b1) * m_[i] + b1 * g[i];
        v_[i] = (1 - b2) * v_[i] + b2 * (g[i] - p_[i]);
        n_[i] = (1 - b3) * n_[i] + b3 * std::pow(g[i] + (1 - b2) * (g[i] - p_[i]), 2);
      }
      const double along = m_[i] * c1 + (1 - b2) * v_[i] * c2;
      w[i] = (w[i] - lr / (std::sqrt(n_[i] * c3) + eps) * along) / (1 + decay[i] * lr);
      p_[i] = g[i];
    }
    ++t_;
  }

 private:
  Numbers m_, v_, n_, p_;
  int t_ = 0;
};

}  // namespace

TEMPLATE_TEST_CASE("Adan: agrees with plain loops, number by number", "[train][optimizer]", float, double) {
  const auto schedule = [](long t) { return .01 / (1 + static_cast<double>(t)); };
  const train::ParameterGroups groups(small_table<TestType>, train::mpp_weight_decay);
  const train::Adan<decltype(schedule)> adan{.schedule = schedule, .weight_decay = .3};
  auto state = adan.template make_state<TestType>(groups);
  const auto weights = small_arena<TestType>("weights");

  PlainAdan plain;
  Numbers w = trained_numbers(weights);
  const Numbers decay =
      for_each_trained<TestType>([](const ParamEntry& e) { return .3 * train::mpp_weight_decay(e).decay; });
  for (long t = 0; t < 8; ++t) {
    const auto gradient = small_arena<TestType>("gradient " + std::to_string(t));
    adan.step(Exec(), groups, t, weights.data(), gradient.data(), state, .5);
    Numbers g = trained_numbers(gradient);
    for (double& x : g) x *= .5;
    plain.step(w, g, decay, schedule(t));
    CHECK(relative_l2(trained_numbers(weights), w) < (std::is_same_v<TestType, float> ? 1e-6 : 1e-14));
  }
}
