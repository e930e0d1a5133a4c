#pragma once
#include <fieldstep/core/params.hpp>
#include <fieldstep/ops/partial_sums.hpp>
#include <fieldstep/ops/statistics_backward.hpp>

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

  /// What stands behind a norm that ends a residual branch (ops::add_scaled_branch): the layer scale with its gradient,
  /// and a factor a sample.
  struct Branch {
    const Real* gamma = nullptr;  ///< (Channels), null for 1
    const Real* keep = nullptr;   ///< (samples), null for 1
    Real* dgamma = nullptr;
  };

  /// From dy, the gradient of gamma keep y: dx = base + dL/dx. Adds to dw and dgamma; `bias` gets no gradient.
  ///   a = gamma keep weight / (sigma + eps)
  ///   dL/dx = a dy - a sum(dy x) (x - mean) / ((sigma + eps) (M - 1) sigma)
  ///   dweight = sum gamma keep dy x / (sigma + eps), and dgamma with weight in place of gamma
  /// At sigma = 0 nothing goes through sigma, as in torch. base may be null for 0, dx may be dy or base; scratch:
  /// samples x Channels.
  template <class Exec>
  static void backward(const Exec& exec, const Weights& w, int samples, int positions, const Real* x, const Real* dy,
                       const Real* base, Real* dx, const Params<Real>& dw, Real* scratch, const Branch& branch = {}) {
    const Real *weight = w.weight.data_handle(), *gamma = branch.gamma, *keep = branch.keep;
    ops::channel_gradient<Channels>(
        exec, samples, positions, x, dy, base, dx,
        [=]<int L>(int sample, int channel, const ops::ChannelSums<Real, L>& sums) {
          using Vec = ops::vec<Real, L>;
          const Vec sigma = ops::sqrt<L, Real>(sums.squares / static_cast<Real>(positions - 1));
          const Vec inverse = (keep ? keep[sample] : Real(1)) / (sigma + static_cast<Real>(eps));
          const Vec share = (sums.dy_x + sums.mean * sums.dy) * inverse;  // of this sample in dL/d(gamma weight)
          ops::store<L>(scratch + sample * Channels + channel, share);
          const Vec factor = ops::load<L>(weight + channel) * (gamma ? ops::load<L>(gamma + channel) : Vec{} + 1);
          const Vec slope =
              factor * share / ((sigma + static_cast<Real>(eps)) * static_cast<Real>(1 - positions) * sigma);
          return ops::ChannelGradient<Real, L>{factor * inverse, sigma > 0 ? slope : Vec{}, Vec{}};
        });
    ops::add_rows<Channels>(exec, samples, scratch, Channels, gamma, dw.weight.data_handle());
    if (branch.dgamma) ops::add_rows<Channels>(exec, samples, scratch, Channels, weight, branch.dgamma);
  }
};

}  // namespace fieldstep::blocks
