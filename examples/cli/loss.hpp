#pragma once
#include <Kokkos_Core.hpp>
#include <cstddef>
#include <functional>
#include <string>

namespace fieldstep::cli {

/// A loss over rollouts that is chosen when the program runs, itself a train::RolloutLoss; all kernels are in loss.cpp.
/// One that cannot do without a target says so when there is none.
class AnyLoss {
 public:
  using Measure = std::function<double(int samples, std::size_t size, const float* y, const float* target,
                                       double weight, float* dy, float* dtarget)>;
  static constexpr bool needs_target = false;

  explicit AnyLoss(Measure measure = {}) : measure_(std::move(measure)) {}

  double operator()(const Kokkos::DefaultHostExecutionSpace&, int samples, std::size_t size, const float* y,
                    const float* target, double weight, float* dy, float* dtarget) const {
    return measure_(samples, size, y, target, weight, dy, dtarget);
  }

 private:
  Measure measure_;
};

inline constexpr const char* loss_names = "mse, mae, rmse, lp;P, huber;DELTA, and with an n in front all but huber";

/// mse, mae, rmse, lp;P and, divided by the same of the target, nmse, nmae, nrmse, nlp;P; huber;DELTA. Means over the
/// samples. Of states of several frames the newest one is measured.
AnyLoss make_loss(const std::string& text, int frames);

}  // namespace fieldstep::cli
