#pragma once
#include <fieldstep/train/configuration/concept.hpp>

#include <utility>
#include <variant>

namespace fieldstep::train {

/// One of several configurations, chosen at run time.
template <Configuration... Choices>
struct AnyConfiguration {
  std::variant<Choices...> choice;

  static constexpr bool needs_reference = (Choices::needs_reference || ...);
  static constexpr bool needs_residuum = (Choices::needs_residuum || ...);

  LevelRule rule(int s) const {
    return ask([&](const auto& c) { return c.rule(s); });
  }
  ChainLength length() const {
    return ask([](const auto& c) { return c.length(); });
  }
  int snapshots() const {
    return ask([](const auto& c) { return c.snapshots(); });
  }
  int window() const {
    return ask([](const auto& c) { return c.window(); });
  }
  bool differentiates_reference() const {
    return ask([]<class C>(const C& c) {
      if constexpr (C::needs_reference)
        return c.differentiates_reference();
      else
        return false;
    });
  }
  void check() const {
    ask([](const auto& c) { c.check(); });
  }

  template <class Rollout, class Windows>
  double evaluate(Rollout& chain, const Windows& windows, double weight) const {
    return ask([&](const auto& c) { return c.evaluate(chain, windows, weight); });
  }

 private:
  template <class Question>
  decltype(auto) ask(const Question& question) const {
    return std::visit(question, choice);
  }
};

}  // namespace fieldstep::train
