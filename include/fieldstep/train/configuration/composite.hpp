#pragma once
#include <fieldstep/train/configuration/concept.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <tuple>

namespace fieldstep::train {

/// A weighted sum of configurations on the same windows, each with a chain of its own length.
///   Composite{std::tuple{Supervised<>{}, Residuum<>{.rollout = 3}}, {.5, 2}}
/// Source: trainax.configuration.CompositeConfiguration, where lists of unequal length lose their ends.
template <Configuration... Parts>
struct Composite {
  std::tuple<Parts...> parts;
  std::array<double, sizeof...(Parts)> weights;

  static constexpr bool needs_reference = (Parts::needs_reference || ...);
  static constexpr bool needs_residuum = (Parts::needs_residuum || ...);

  LevelRule rule(int) const { return {}; }  // the chain asks the part that is under way
  ChainLength length() const {
    return {.steps = largest([](const auto& part) { return part.length().steps; }),
            .branch = largest([](const auto& part) { return part.length().branch; })};
  }
  int snapshots() const {
    return largest([](const auto& part) { return part.snapshots(); });
  }
  int window() const {
    return largest([](const auto& part) { return part.window(); });
  }
  bool differentiates_reference() const {
    return largest([](const auto& part) {
      if constexpr (std::remove_cvref_t<decltype(part)>::needs_reference)
        return static_cast<int>(part.differentiates_reference());
      else
        return 0;
    });
  }
  void check() const {
    std::apply([](const auto&... part) { (part.check(), ...); }, parts);
  }

  template <class Rollout, class Windows>
  double evaluate(Rollout& chain, const Windows& windows, double weight) const {
    std::size_t i = 0;
    double value = 0;
    const auto add = [&](const auto& part) {
      const double w = weights[i++];
      value += w * part.evaluate(chain, windows, weight * w);
    };
    std::apply([&](const auto&... part) { (add(part), ...); }, parts);
    return value;
  }

 private:
  int largest(const auto& of) const {
    return std::apply([&](const auto&... part) { return std::max({of(part)...}); }, parts);
  }
};

template <class... Parts>
Composite(std::tuple<Parts...>, std::array<double, sizeof...(Parts)>) -> Composite<Parts...>;

}  // namespace fieldstep::train
