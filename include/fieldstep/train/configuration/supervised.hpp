#pragma once
#include <fieldstep/train/configuration/concept.hpp>
#include <fieldstep/train/loss/mse.hpp>

namespace fieldstep::train {

/// The network's own rollout against the data, r_t the snapshots of a window:
///   y_0 = r_0,  y_t = f(y_{t-1}),  L = sum_{t=1..rollout} w_t loss(y_t, r_t)
/// Weights 0, ..., 0, 1 and a cut are the pushforward trick. With forcing_every = F the chain goes on from the data
/// after every F steps (teacher forcing); the loss sees the state before.
/// Source: trainax.configuration.Supervised; tf-R-F of the predictor-learning taxonomy.
template <class Loss = MSE<>>
struct Supervised {
  int rollout = 1;
  bool cut_bptt = false;  ///< no gradient through states at levels that are multiples of cut_bptt_every
  int cut_bptt_every = 1;
  std::vector<double> time_level_weights{};  ///< (rollout), of levels 1 ...; empty: ones
  int forcing_every = 0;                     ///< 0: never
  Loss loss{};

  static constexpr bool needs_reference = false, needs_residuum = false;

  LevelRule rule(int s) const {
    return {.cut = cut_bptt && s % cut_bptt_every == 0, .reset = forcing_every > 0 && s % forcing_every == 0};
  }
  ChainLength length() const { return {.steps = rollout, .branch = 0}; }
  int snapshots() const { return rollout + 1; }
  int window() const { return rollout + 1; }
  void check() const {
    detail::check_steps("Supervised", "rollout", rollout);
    detail::check_steps("Supervised", "cut_bptt_every", cut_bptt_every);
    if (forcing_every < 0) fail_usage("Supervised: found forcing_every = ", forcing_every, ", wanted at least 0");
    detail::check_weights("Supervised", "time_level_weights", time_level_weights, rollout);
  }

  template <class Rollout, class Windows>
  double evaluate(Rollout& chain, const Windows& windows, double weight) const {
    chain.forward(*this, windows);
    double value = 0;
    for (int t = 1; t <= rollout; ++t) {
      const double w = detail::weight_at(time_level_weights, t - 1);
      if (w != 0) value += chain.compare(loss, w, weight, chain.state(t), windows.level(t), chain.at(t));
    }
    chain.backward(*this);
    return value;
  }
};

}  // namespace fieldstep::train
