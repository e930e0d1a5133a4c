#pragma once
#include <fieldstep/train/configuration/concept.hpp>
#include <fieldstep/train/loss/mse.hpp>

#include <cstddef>
#include <string>

namespace fieldstep::train {

/// A chain of network steps, N, and reference steps, P, in the order of the pattern, against the data:
///   x_0 = r_0,  x_t = f(x_{t-1}) or P(x_{t-1}),  L = sum_t w_t loss(x_t, r_t),  t = 1 ... length of the pattern
/// A cut is made after network steps only, at levels that are multiples of cut_bptt_every, all steps counted. Where one
/// falls between a network and a reference step, nothing of the latter reaches the network; cut_at_interface = false
/// leaves these levels whole, as the original's text, but not its code, says.
/// Source: trainax.configuration.MixChainPostPhysics, which has the patterns post_physics(R, K).
template <class Loss = MSE<>>
struct MixChain {
  std::string pattern = "NP";
  bool cut_bptt = false;
  int cut_bptt_every = 1;
  bool cut_at_interface = true;
  std::vector<double> time_level_weights{};  ///< (length of the pattern); empty: ones
  Loss loss{};

  static constexpr bool needs_reference = true, needs_residuum = false;

  /// Network steps, then reference steps.
  static std::string post_physics(int network, int physics) {
    return std::string(static_cast<std::size_t>(network), 'N') + std::string(static_cast<std::size_t>(physics), 'P');
  }

  LevelRule rule(int s) const {
    const bool interface = s < steps() && letter(s + 1) == 'P';
    return {.physics = letter(s) == 'P',
            .cut = cut_bptt && letter(s) == 'N' && s % cut_bptt_every == 0 && (cut_at_interface || !interface)};
  }
  ChainLength length() const { return {.steps = steps(), .branch = 0}; }
  int snapshots() const { return steps() + 1; }
  int window() const { return steps() + 1; }
  bool differentiates_reference() const { return pattern.find('P', pattern.find('N')) != std::string::npos; }
  void check() const {
    if (pattern.empty() || pattern.find_first_not_of("NP") != std::string::npos)
      fail_usage("MixChain: found the pattern \"", pattern, "\", wanted letters N (network) and P (physics)");
    detail::check_steps("MixChain", "cut_bptt_every", cut_bptt_every);
    detail::check_weights("MixChain", "time_level_weights", time_level_weights, steps());
  }

  template <class Rollout, class Windows>
  double evaluate(Rollout& chain, const Windows& windows, double weight) const {
    chain.forward(*this, windows);
    double value = 0;
    for (int t = 1; t <= steps(); ++t) {
      const double w = detail::weight_at(time_level_weights, t - 1);
      if (w != 0) value += chain.compare(loss, w, weight, chain.state(t), windows.level(t), chain.at(t));
    }
    chain.backward(*this);
    return value;
  }

 private:
  int steps() const { return static_cast<int>(pattern.size()); }
  char letter(int s) const { return pattern[static_cast<std::size_t>(s - 1)]; }
};

}  // namespace fieldstep::train
