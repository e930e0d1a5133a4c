#pragma once
#include <fieldstep/ops/add.hpp>
#include <fieldstep/train/configuration/concept.hpp>
#include <fieldstep/train/loss/mse.hpp>

#include <algorithm>

namespace fieldstep::train {

/// The network's rollout against a discretised equation, r(next, prev) = 0: no data but the initial state,
///   y_t = f(y_{t-1}),  L = sum_{t=1..rollout} w_t loss(r(y_t, y_{t-1}))
/// With both cuts nothing is learned, nor with cut_next alone where no gradient comes from later steps; check() says
/// so.
/// Source: trainax.configuration.Residuum.
template <class Loss = MSE<>>
struct Residuum {
  int rollout = 1;
  bool cut_bptt = false;
  int cut_bptt_every = 1;
  bool cut_prev = false, cut_next = false;   ///< no gradient through this argument of the residuum
  std::vector<double> time_level_weights{};  ///< (rollout), of levels 1 ...; empty: ones
  Loss loss{};

  static_assert(!Loss::needs_target, "Residuum: the loss is of a residuum alone, wanted one that needs no target");
  static constexpr bool needs_reference = false, needs_residuum = true;

  LevelRule rule(int s) const { return {.cut = cut_bptt && s % cut_bptt_every == 0}; }
  ChainLength length() const { return {.steps = rollout, .branch = 1}; }
  int snapshots() const { return 1; }
  int window() const { return rollout + 1; }
  void check() const {
    detail::check_steps("Residuum", "rollout", rollout);
    detail::check_steps("Residuum", "cut_bptt_every", cut_bptt_every);
    detail::check_weights("Residuum", "time_level_weights", time_level_weights, rollout);
  }
  /// Whether the gradient of the weights is zero whatever they are.
  bool learns_nothing() const { return cut_next && (cut_prev || rollout == 1 || (cut_bptt && cut_bptt_every == 1)); }

  template <class Rollout, class Windows>
  double evaluate(Rollout& chain, const Windows& windows, double weight) const {
    chain.forward(*this, windows);
    const int samples = chain.samples();
    const std::size_t count = chain.count();
    const bool differentiate = chain.wants_gradient() && !(cut_prev && cut_next);
    double value = 0;
    for (int t = 1; t <= rollout; ++t) {
      const double w = detail::weight_at(time_level_weights, t - 1);
      if (w == 0) continue;
      auto *r = chain.spare(0), *h = chain.spare(1), *dnext = chain.spare(2), *dprev = chain.spare(3);
      chain.residuum().forward(samples, chain.state(t), chain.state(t - 1), r);
      if (differentiate) std::fill_n(h, count, 0);
      value += chain.compare(loss, w, weight, r, nullptr, differentiate ? h : nullptr);
      if (!differentiate) continue;
      chain.residuum().vjp(samples, chain.state(t), chain.state(t - 1), h, cut_next ? nullptr : dnext,
                           cut_prev ? nullptr : dprev);
      if (!cut_next) ops::add(chain.exec(), count, dnext, chain.at(t));
      if (!cut_prev) ops::add(chain.exec(), count, dprev, chain.passed(t - 1));
    }
    chain.backward(*this);
    return value;
  }
};

}  // namespace fieldstep::train
