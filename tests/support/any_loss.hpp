#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/loss/huber.hpp>
#include <fieldstep/train/loss/lp.hpp>
#include <fieldstep/train/loss/mae.hpp>
#include <fieldstep/train/loss/mse.hpp>
#include <fieldstep/train/loss/normalized.hpp>
#include <fieldstep/train/loss/rmse.hpp>

#include <Kokkos_Core.hpp>
#include <cstddef>
#include <functional>
#include <string>

namespace fieldstep::support {

/// A loss chosen at run time, by the names of trainax' goldens.
template <class Real>
struct AnyLoss {
  using Measure = std::function<double(int, std::size_t, const Real*, const Real*, double, Real*, Real*)>;
  Measure measure;
  static constexpr bool needs_target = false;

  template <class Exec>
  double operator()(const Exec&, int samples, std::size_t size, const Real* y, const Real* target, double weight,
                    Real* dy, Real* dtarget) const {
    return measure(samples, size, y, target, weight, dy, dtarget);
  }

  template <class Loss>
  static AnyLoss of(const Loss& loss) {
    return {[loss](int samples, std::size_t size, const Real* y, const Real* target, double weight, Real* dy,
                   Real* dtarget) {
      return loss(Kokkos::DefaultHostExecutionSpace(), samples, size, y, target, weight, dy, dtarget);
    }};
  }

  template <class Reduction>
  static AnyLoss reduced(const std::string& name) {
    if (name == "MSE") return of(train::MSE<Reduction>());
    if (name == "MAE") return of(train::MAE<Reduction>());
    if (name == "RMSE") return of(train::RMSE<Reduction>());
    if (name == "Lp3") return of(train::Lp<Reduction>{.p = 3});
    if (name == "Huber0.5") return of(train::Huber<Reduction>{.delta = .5});
    if (name == "nMSE") return of(train::NormalizedMSE<Reduction>());
    if (name == "nMAE") return of(train::NormalizedMAE<Reduction>());
    if (name == "nRMSE") return of(train::NormalizedRMSE<Reduction>());
    if (name == "nLp3") return of(train::NormalizedLp<Reduction>{.p = 3});
    fail("unknown loss ", name);
  }
  static AnyLoss named(const std::string& name, const std::string& reduction) {
    if (reduction == "mean") return reduced<train::Mean>(name);
    if (reduction == "sum") return reduced<train::Sum>(name);
    if (reduction == "max") return reduced<train::Max>(name);
    fail("unknown batch reduction ", reduction);
  }
};

}  // namespace fieldstep::support
