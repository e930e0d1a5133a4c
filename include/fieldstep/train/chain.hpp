#pragma once
#include <fieldstep/train/concepts.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace fieldstep::train {

/// Transformations of the gradient one after the other, an optimizer at the end: an optimizer itself.
///   Chain{ClipGradNorm{1}, DAdaptAdan<>{}}
/// Clipping by norm costs one reading of the gradient; what changes its entries is a pass of its own over it.
/// Source: optax.chain.
template <class... Links>
class Chain {
  static constexpr std::size_t last = sizeof...(Links) - 1;
  template <std::size_t I>
  using Link = std::tuple_element_t<I, std::tuple<Links...>>;

  template <std::size_t... I>
  static constexpr bool transformations(std::index_sequence<I...>) {
    return (GradientTransformation<Link<I>> && ...);
  }
  static_assert(transformations(std::make_index_sequence<last>()),
                "Chain: every link but the last must be a GradientTransformation");
  static_assert(Optimizer<Link<last>>, "Chain: the last link must be an Optimizer");

 public:
  explicit Chain(Links... links) : links_(std::move(links)...) {}

  template <class Real>
  struct State {
    std::tuple<typename Links::template State<Real>...> links;

    /// The name of what a link remembers is preceded by the link's place.
    void visit(const auto& show) {
      int place = 0;
      const auto visit_link = [&](auto& state) {
        const std::string prefix = std::to_string(place++) + ".";
        state.visit([&](std::string_view name, auto& value) { show(prefix + std::string(name), value); });
      };
      std::apply([&](auto&... state) { (visit_link(state), ...); }, links);
    }
  };

  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    return std::apply([&](const Links&... link) { return State<Real>{{link.template make_state<Real>(groups)...}}; },
                      links_);
  }

  template <class Exec, class Real>
  void step(const Exec& exec, const ParameterGroups& groups, long t, Real* weights, Real* gradient, State<Real>& state,
            double factor = 1) const {
    const Real* before = weights;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((factor = std::get<I>(links_).apply(exec, groups, t, before, gradient, std::get<I>(state.links), factor)), ...);
    }
    (std::make_index_sequence<last>());
    std::get<last>(links_).step(exec, groups, t, weights, gradient, std::get<last>(state.links), factor);
  }

 private:
  std::tuple<Links...> links_;
};

}  // namespace fieldstep::train
