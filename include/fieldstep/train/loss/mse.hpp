#pragma once
#include <fieldstep/train/loss/sample_loss.hpp>

namespace fieldstep::train {

namespace detail {

struct MeanSquare {
  static constexpr bool linear = true;
  template <class V>
  V inner(V d) const {
    return d * d;
  }
  template <class V>
  V slope(V d) const {
    return d + d;
  }
  double outer(double mean) const { return mean; }
  double outer_slope(double) const { return 1; }
};

}  // namespace detail

/// mean d^2 over all channels and points of a sample.
/// Source: trainax.loss.MSELoss.
template <class Reduction = Mean>
struct MSE {
  static constexpr bool needs_target = false;

  template <class Exec, class Real>
  double operator()(const Exec& exec, int samples, std::size_t size, const Real* y, const Real* target, double weight,
                    Real* dy, Real* dtarget) const {
    return detail::sample_loss<Reduction>(exec, detail::MeanSquare{}, samples, size, y, target, weight, dy, dtarget);
  }
};

}  // namespace fieldstep::train
