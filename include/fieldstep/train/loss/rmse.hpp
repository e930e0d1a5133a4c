#pragma once
#include <fieldstep/train/loss/sample_loss.hpp>

namespace fieldstep::train {

namespace detail {

struct RootMeanSquare {
  static constexpr bool linear = false;
  template <class V>
  V inner(V d) const {
    return d * d;
  }
  template <class V>
  V slope(V d) const {
    return d + d;
  }
  double outer(double mean) const { return std::sqrt(mean); }
  double outer_slope(double mean) const { return mean > 0 ? .5 / std::sqrt(mean) : 0; }
};

}  // namespace detail

/// sqrt(mean d^2) over all channels and points of a sample; the derivative at 0 is 0.
/// Source: announced in trainax (loss/_rmse_loss.py, empty there).
template <class Reduction = Mean>
struct RMSE {
  static constexpr bool needs_target = false;

  template <class Exec, class Real>
  double operator()(const Exec& exec, int samples, std::size_t size, const Real* y, const Real* target, double weight,
                    Real* dy, Real* dtarget) const {
    return detail::sample_loss<Reduction>(exec, detail::RootMeanSquare{}, samples, size, y, target, weight, dy,
                                          dtarget);
  }
};

}  // namespace fieldstep::train
