#pragma once
#include <fieldstep/ops/add.hpp>
#include <fieldstep/train/configuration/concept.hpp>
#include <fieldstep/train/loss/mse.hpp>

#include <algorithm>

namespace fieldstep::train {

/// The network against a reference stepper that starts from the network's own states: from each state m_t of the main
/// chain, t = 0 ... rollout - branch_steps, both go on for B = branch_steps steps and are compared,
///   b_0 = q_0 = m_t,  b_{j+1} = f(b_j),  q_{j+1} = P(q_j),  L = sum_t w_t sum_{j<B} v_j loss(b_{j+1}, q_{j+1})
/// Since b_j is m_{t+j}, the network is evaluated rollout times only. With branch_steps = 1, trainax'
/// DivertedChainBranchOne; with branch_steps = rollout, Supervised on data that P made. Only initial states are read.
/// Source: trainax.configuration.DivertedChain, where the network is evaluated (rollout - B + 1)(B + 1) times.
template <class Loss = MSE<>>
struct DivertedChain {
  int rollout = 1, branch_steps = 1;
  bool cut_bptt = false;
  int cut_bptt_every = 1;
  bool cut_div_chain = false;                  ///< no gradient through the reference chain
  std::vector<double> time_level_weights{};    ///< (rollout), read up to rollout - branch_steps; empty: ones
  std::vector<double> branch_level_weights{};  ///< (branch_steps); empty: ones
  Loss loss{};

  static constexpr bool needs_reference = true, needs_residuum = false;

  LevelRule rule(int s) const { return {.cut = cut_bptt && s % cut_bptt_every == 0}; }
  ChainLength length() const { return {.steps = rollout, .branch = branch_steps}; }
  int snapshots() const { return 1; }
  int window() const { return rollout + 1; }
  bool differentiates_reference() const { return !cut_div_chain; }
  void check() const {
    detail::check_steps("DivertedChain", "rollout", rollout);
    detail::check_steps("DivertedChain", "branch_steps", branch_steps);
    detail::check_steps("DivertedChain", "cut_bptt_every", cut_bptt_every);
    if (branch_steps > rollout)
      fail_usage("DivertedChain: found branch_steps = ", branch_steps, ", wanted at most the rollout's ", rollout);
    detail::check_weights("DivertedChain", "time_level_weights", time_level_weights, rollout);
    detail::check_weights("DivertedChain", "branch_level_weights", branch_level_weights, branch_steps);
  }

  template <class Rollout, class Windows>
  double evaluate(Rollout& chain, const Windows& windows, double weight) const {
    chain.forward(*this, windows);
    double value = 0;
    for (int t = 0; t + branch_steps <= rollout; ++t) value += compare_branch(chain, t, weight);
    chain.backward(*this);
    return value;
  }

 private:
  /// The branch that leaves the chain at level t. Spare states: q_1 ... q_B, then the cotangents of their losses.
  template <class Rollout>
  double compare_branch(Rollout& chain, int t, double weight) const {
    const double w = detail::weight_at(time_level_weights, t);
    if (w == 0) return 0;
    const int samples = chain.samples(), B = branch_steps;
    const std::size_t count = chain.count();
    const auto q = [&](int j) { return j == 0 ? chain.state(t) : chain.spare(j - 1); };
    const bool differentiate = chain.wants_gradient() && !cut_div_chain;
    double value = 0;
    for (int j = 1; j <= B; ++j) {
      chain.reference().forward(samples, q(j - 1), chain.spare(j - 1));
      auto* const h = differentiate ? chain.spare(B + j - 1) : nullptr;
      if (h) std::fill_n(h, count, 0);
      const double a = w * detail::weight_at(branch_level_weights, j - 1);
      value += chain.compare(loss, a, weight, chain.state(t + j), q(j), chain.at(t + j), h);
    }
    if constexpr (requires { chain.reference().vjp(samples, q(0), q(0), chain.spare(0)); }) {
      for (int j = B; differentiate && j >= 1; --j) {  // z_{j-1} = P^T(q_{j-1}; z_j + h_j), in the place of h_{j-1}
        auto* z = chain.spare(2 * B);
        chain.reference().vjp(samples, q(j - 1), chain.spare(B + j - 1), z);
        ops::add(chain.exec(), count, z, j > 1 ? chain.spare(B + j - 2) : chain.passed(t));
      }
    }
    return value;
  }
};

}  // namespace fieldstep::train
