#pragma once
#include <fieldstep/core/params.hpp>
#include <fieldstep/ops/statistics.hpp>

namespace fieldstep::blocks {

/// MPP's RMSInstanceNorm2d, which is not an RMS: per sample and channel over M positions
///   y = weight[c] x / (sigma + 1e-8),   sigma = sqrt(sum (x - mean)^2 / (M - 1))
/// The numerator keeps its mean; `bias` is in the state dict and never used. M = 1 gives NaN, as in the original.
template <class Real, int Channels>
struct RMSInstanceNorm2d {
  static constexpr double eps = 1e-8;

  template <class R>
  struct Params {
    Tensor<R, Channels> weight{nullptr};
    Tensor<R, Channels> bias{nullptr};
    using hana_accessors_impl =
        Fields<Field<"weight", &Params::weight, init_constant(1)>, Field<"bias", &Params::bias, init_constant(0)>>;
  };
  using Weights = Params<const Real>;

  /// scale (samples, Channels) of x (samples, positions, Channels): y = x * scale.
  template <class Exec>
  static void scales(const Exec& exec, const Weights& w, int samples, int positions, const Real* x, Real* scale) {
    const Real* weight = w.weight.data_handle();
    ops::channel_statistics<Channels>(
        exec, samples, positions, x, static_cast<std::ptrdiff_t>(positions) * Channels,
        [=]<int L>(int sample, int channel, ops::vec<Real, L>, ops::vec<Real, L> squares) {
          const auto sigma = ops::sqrt<L, Real>(squares / static_cast<Real>(positions - 1));
          ops::store<L>(scale + sample * Channels + channel,
                        ops::load<L>(weight + channel) / (sigma + static_cast<Real>(eps)));
        });
  }

  /// Overwrites y (samples, positions, Channels), which may be x, and scale (samples, Channels).
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, int samples, int positions, const Real* x, Real* scale,
                      Real* y) {
    scales(exec, w, samples, positions, x, scale);
    ops::scale_shift<Channels>(exec, samples, positions, x, scale, static_cast<const Real*>(nullptr), y);
  }
};

}  // namespace fieldstep::blocks
