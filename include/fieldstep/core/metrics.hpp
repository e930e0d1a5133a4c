#pragma once
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace fieldstep {

/// How far a forecast x of one field is from its reference y, over the n points of a frame.
struct FieldError {
  double rmse = 0;   ///< sqrt(mean((x - y)^2))
  double nrmse = 0;  ///< sqrt(mean((x - y)^2) / (mean(y^2) + 1e-7)), as MPP reports it
  double vrmse = 0;  ///< sqrt(mean((x - y)^2) / (var(y) + 1e-7)), var with n - 1, as the Well reports it
  double max = 0;    ///< max |x - y|
};

/// Sums in double. A value that is not finite shows in every number.
template <class Real>
FieldError field_error(std::span<const Real> forecast, std::span<const Real> reference) {
  constexpr double eps = 1e-7;
  const auto n = static_cast<double>(reference.size());
  double squares = 0, mean = 0, reference_squares = 0, max = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double y = reference[i], error = forecast[i] - y;
    squares += error * error;
    mean += y / n;
    reference_squares += y * y;
    if (!std::isnan(max) && !(std::abs(error) <= max)) max = std::abs(error);
  }
  double deviations = 0;
  for (const double y : reference) deviations += (y - mean) * (y - mean);
  const double mse = squares / n;
  return {.rmse = std::sqrt(mse),
          .nrmse = std::sqrt(mse / (reference_squares / n + eps)),
          .vrmse = std::sqrt(mse / (deviations / (n - 1) + eps)),
          .max = max};
}

/// Poseidon's error of a group of fields in one sample, in percent: 100 sum |x - y| / sum |y| over the group's points
/// (scOT/metrics.py, relative_lp_error with p = 1; a reference of zeros counts as 1e-10). The original takes it of
/// normalised fields and reports the median and the mean over samples.
template <class Real>
double relative_l1_percent(std::span<const Real> forecast, std::span<const Real> reference) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double y = reference[i];
    error += std::abs(forecast[i] - y);
    size += std::abs(y);
  }
  return 100 * error / (size == 0 ? 1e-10 : size);
}

/// One entry a field of a frame (fields, points).
template <class Real>
std::vector<FieldError> field_errors(std::span<const Real> forecast, std::span<const Real> reference,
                                     std::size_t fields) {
  const std::size_t points = reference.size() / fields;
  std::vector<FieldError> errors;
  for (std::size_t f = 0; f < fields; ++f)
    errors.push_back(field_error(forecast.subspan(f * points, points), reference.subspan(f * points, points)));
  return errors;
}

}  // namespace fieldstep
