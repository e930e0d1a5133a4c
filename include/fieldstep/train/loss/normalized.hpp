#pragma once
#include <fieldstep/train/loss/lp.hpp>
#include <fieldstep/train/loss/mae.hpp>
#include <fieldstep/train/loss/mse.hpp>
#include <fieldstep/train/loss/rmse.hpp>

// Losses relative to the target: the ratio of two norms per sample, over all channels together, then the reduction. No
// epsilon: a target of zeros gives infinity or NaN. They throw where there is no target.
namespace fieldstep::train {

/// MSE(prediction - target) / MSE(target)
/// Source: trainax.loss.Normalized_MSELoss.
template <class Reduction = Mean>
struct NormalizedMSE {
  static constexpr bool needs_target = true;

  template <class Exec, class Real>
  double operator()(const Exec& exec, int samples, std::size_t size, const Real* y, const Real* target, double weight,
                    Real* dy, Real* dtarget) const {
    return detail::normalized_loss<Reduction>(exec, "NormalizedMSE", detail::MeanSquare{}, samples, size, y, target,
                                              weight, dy, dtarget);
  }
};

/// MAE(prediction - target) / MAE(target)
/// Source: trainax.loss.Normalized_MAELoss.
template <class Reduction = Mean>
struct NormalizedMAE {
  static constexpr bool needs_target = true;

  template <class Exec, class Real>
  double operator()(const Exec& exec, int samples, std::size_t size, const Real* y, const Real* target, double weight,
                    Real* dy, Real* dtarget) const {
    return detail::normalized_loss<Reduction>(exec, "NormalizedMAE", detail::MeanMagnitude{}, samples, size, y, target,
                                              weight, dy, dtarget);
  }
};

/// RMSE(prediction - target) / RMSE(target)
template <class Reduction = Mean>
struct NormalizedRMSE {
  static constexpr bool needs_target = true;

  template <class Exec, class Real>
  double operator()(const Exec& exec, int samples, std::size_t size, const Real* y, const Real* target, double weight,
                    Real* dy, Real* dtarget) const {
    return detail::normalized_loss<Reduction>(exec, "NormalizedRMSE", detail::RootMeanSquare{}, samples, size, y,
                                              target, weight, dy, dtarget);
  }
};

/// Lp(prediction - target) / Lp(target)
template <class Reduction = Mean>
struct NormalizedLp {
  double p = 2;
  static constexpr bool needs_target = true;

  template <class Exec, class Real>
  double operator()(const Exec& exec, int samples, std::size_t size, const Real* y, const Real* target, double weight,
                    Real* dy, Real* dtarget) const {
    return detail::normalized_loss<Reduction>(exec, "NormalizedLp", detail::MeanPower{p}, samples, size, y, target,
                                              weight, dy, dtarget);
  }
};

}  // namespace fieldstep::train
