#pragma once
#include <fieldstep/train/loss/sample_loss.hpp>

namespace fieldstep::train {

namespace detail {

struct MeanMagnitude {
  static constexpr bool linear = true;
  template <class V>
  V inner(V d) const {
    return ops::magnitude(d);
  }
  template <class V>
  V slope(V d) const {
    return d > V{} ? V{} + 1 : d < V{} ? V{} - 1 : V{};
  }
  double outer(double mean) const { return mean; }
  double outer_slope(double) const { return 1; }
};

}  // namespace detail

/// mean |d| over all channels and points of a sample; the derivative at 0 is 0.
/// Source: trainax.loss.MAELoss.
template <class Reduction = Mean>
struct MAE {
  static constexpr bool needs_target = false;

  template <class Exec, class Real>
  double operator()(const Exec& exec, int samples, std::size_t size, const Real* y, const Real* target, double weight,
                    Real* dy, Real* dtarget) const {
    return detail::sample_loss<Reduction>(exec, detail::MeanMagnitude{}, samples, size, y, target, weight, dy, dtarget);
  }
};

}  // namespace fieldstep::train
