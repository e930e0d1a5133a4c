#pragma once
#include <cmath>
#include <cstddef>

namespace fieldstep::train {

/// MPP's loss of a batch, the mean over samples and channels of
///   raw[s, c] = mean (y - target)^2 / (mean target^2 + 1e-7), means over the points
/// divided by how many batches' gradients are added before an update. The target is data and gets no gradient.
///   y, target: (samples, channels, points)
/// Source: MPP's train_basic.py, train_one_epoch and validate_one_epoch.
struct NormalisedMse {
  int accumulated = 1;  ///< batches an update, the original's accum_grad

  /// The loss, summed in double. gradient, where not null, is overwritten by its derivative by y.
  template <class Real>
  double operator()(int samples, int channels, int points, const Real* y, const Real* target,
                    Real* gradient = nullptr) const {
    const double share = 1 / (static_cast<double>(samples) * channels * accumulated);
    double loss = 0;
    for (int field = 0; field < samples * channels; ++field, y += points, target += points) {
      const Means of_field = means(points, y, target);
      loss += share * of_field.error / of_field.norm;
      const double scale = 2 * share / (points * of_field.norm);
      for (int i = 0; gradient && i < points; ++i)
        *gradient++ = static_cast<Real>(scale * (static_cast<double>(y[i]) - static_cast<double>(target[i])));
    }
    return loss;
  }

  /// The original's validation metric: the mean of sqrt(raw).
  template <class Real>
  static double nrmse(int samples, int channels, int points, const Real* y, const Real* target) {
    double sum = 0;
    for (int field = 0; field < samples * channels; ++field, y += points, target += points) {
      const Means of_field = means(points, y, target);
      sum += std::sqrt(of_field.error / of_field.norm);
    }
    return sum / (static_cast<double>(samples) * channels);
  }

 private:
  /// Numerator and denominator of raw.
  struct Means {
    double error, norm;
  };
  template <class Real>
  static Means means(int points, const Real* y, const Real* target) {
    double error = 0, norm = 0;
    for (int i = 0; i < points; ++i) {
      const double t = static_cast<double>(target[i]), d = static_cast<double>(y[i]) - t;
      error += d * d, norm += t * t;
    }
    return {error / points, norm / points + 1e-7};
  }
};

}  // namespace fieldstep::train
