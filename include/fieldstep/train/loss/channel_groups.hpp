#pragma once
#include <fieldstep/core/error.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <span>

namespace fieldstep::train {

/// Poseidon's loss of a batch: mean |y - labels|^p, relative to that of the labels in every group of channels,
///   loss = mean_g ( mean_g |y - labels|^p / (mean_g |labels|^p + 1e-10) ),  p = 1 or 2
/// where mean_g is over all samples, the channels of group g and all points. Without groups: mean |y - labels|^p.
///   y, labels: (samples, channels, points)
/// Source: Poseidon's ScOT.forward (scOT/model.py), p and channel_slice_list_normalized_loss.
struct ChannelGroupLoss {
  int p = 1;
  std::span<const int> boundaries{};  ///< group g is channels boundaries[g], ..., boundaries[g + 1] - 1

  /// The loss, summed in double. gradient, where not null, is overwritten by its derivative by y (0 where y = labels).
  template <class Real>
  double operator()(int samples, int channels, int points, const Real* y, const Real* labels,
                    Real* gradient = nullptr) const {
    if (p != 1 && p != 2) fail_usage("ChannelGroupLoss: found p = ", p, ", wanted 1 or 2");
    const std::array<int, 2> whole{0, channels};
    const std::span<const int> groups = boundaries.empty() ? std::span<const int>(whole) : boundaries;
    if (groups.size() < 2 || groups.front() < 0 || groups.back() > channels)
      fail_usage("ChannelGroupLoss: found groups from ", groups.front(), " to ", groups.back(),
                 ", wanted channels of 0 to ", channels);
    const auto share = 1 / static_cast<double>(groups.size() - 1);
    if (gradient)  // channels of no group
      for (std::ptrdiff_t i = 0; i < std::ptrdiff_t{samples} * channels * points; ++i) gradient[i] = 0;

    double loss = 0;
    for (std::size_t g = 0; g + 1 < groups.size(); ++g) {
      const std::ptrdiff_t size = std::ptrdiff_t{groups[g + 1] - groups[g]} * points;
      if (size <= 0) fail_usage("ChannelGroupLoss: group ", g, " has no channel");
      double error = 0, norm = 0;
      for (int s = 0; s < samples; ++s) {
        const std::ptrdiff_t first = (std::ptrdiff_t{s} * channels + groups[g]) * points;
        for (std::ptrdiff_t i = first; i < first + size; ++i) {
          error += power(static_cast<double>(y[i]) - static_cast<double>(labels[i]));
          norm += power(static_cast<double>(labels[i]));
        }
      }
      const double count = static_cast<double>(size) * samples;
      const double scale = share / (boundaries.empty() ? 1 : norm / count + 1e-10) / count;
      loss += error * scale;
      for (int s = 0; gradient && s < samples; ++s) {
        const std::ptrdiff_t first = (std::ptrdiff_t{s} * channels + groups[g]) * points;
        for (std::ptrdiff_t i = first; i < first + size; ++i) {
          const double d = static_cast<double>(y[i]) - static_cast<double>(labels[i]);
          gradient[i] = static_cast<Real>(scale * (p == 2 ? 2 * d : d > 0 ? 1 : d < 0 ? -1 : 0));
        }
      }
    }
    return loss;
  }

 private:
  double power(double x) const { return p == 2 ? x * x : std::abs(x); }
};

/// Puts the labels in place of the forecast where a channel is not part of the problem: y = labels where the mask is
/// set, which takes these points out of the loss and its gradient.
///   y, labels: (samples, channels, points); mask: (samples, channels), or with per_point (samples, channels, points)
/// Source: pixel_mask of Poseidon's ScOT.forward (scOT/model.py).
template <class Real>
void impose_labels(int samples, int channels, int points, const Real* labels, const unsigned char* mask, bool per_point,
                   Real* y) {
  for (std::ptrdiff_t i = 0; i < std::ptrdiff_t{samples} * channels * points; ++i)
    if (mask[per_point ? i : i / points]) y[i] = labels[i];
}

}  // namespace fieldstep::train
