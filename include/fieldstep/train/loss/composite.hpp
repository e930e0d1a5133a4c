#pragma once
#include <array>
#include <cstddef>
#include <tuple>

namespace fieldstep::train {

/// A weighted sum of losses, each with its own reduction.
///   CompositeLoss{std::tuple{MSE<>{}, MAE<>{}}, std::array{1., .1}}
/// Source: announced in trainax (loss/_composite.py, empty there).
template <class... Losses>
struct CompositeLoss {
  std::tuple<Losses...> losses;
  std::array<double, sizeof...(Losses)> weights;
  static constexpr bool needs_target = (Losses::needs_target || ...);

  template <class Exec, class Real>
  double operator()(const Exec& exec, int samples, std::size_t size, const Real* y, const Real* target, double weight,
                    Real* dy, Real* dtarget) const {
    std::size_t i = 0;
    double value = 0;
    const auto add = [&](const auto& loss) {
      const double w = weights[i++];
      value += w * loss(exec, samples, size, y, target, weight * w, dy, dtarget);
    };
    std::apply([&](const auto&... loss) { (add(loss), ...); }, losses);
    return value;
  }
};

template <class... Losses>
CompositeLoss(std::tuple<Losses...>, std::array<double, sizeof...(Losses)>) -> CompositeLoss<Losses...>;

}  // namespace fieldstep::train
