#pragma once
#include <fieldstep/core/params.hpp>
#include <fieldstep/ops/partial_sums.hpp>
#include <fieldstep/ops/statistics_backward.hpp>

namespace fieldstep::blocks {

/// Instance normalisation over the positions of every sample and channel, without running statistics:
///   y = weight[c] (x - mean) / sqrt(var + 1e-5) + bias[c]        var is biased
/// Source: Ulyanov, Vedaldi, Lempitsky 2016, arXiv:1607.08022, as torch.nn.InstanceNorm2d(affine=True).
template <class Real, int Channels>
struct InstanceNorm2d {
  static constexpr double eps = 1e-5;

  template <class R>
  struct Params {
    Tensor<R, Channels> weight{nullptr};
    Tensor<R, Channels> bias{nullptr};
    using hana_accessors_impl =
        Fields<Field<"weight", &Params::weight, init_constant(1)>, Field<"bias", &Params::bias, init_constant(0)>>;
  };
  using Weights = Params<const Real>;

  /// scale, shift (samples, Channels) of x (samples, positions, Channels): y = x * scale + shift.
  template <class Exec>
  static void affine(const Exec& exec, const Weights& w, int samples, int positions, const Real* x, Real* scale,
                     Real* shift) {
    const Real *weight = w.weight.data_handle(), *bias = w.bias.data_handle();
    ops::channel_statistics<Channels>(
        exec, samples, positions, x, static_cast<std::ptrdiff_t>(positions) * Channels,
        [=]<int L>(int sample, int channel, ops::vec<Real, L> mean, ops::vec<Real, L> squares) {
          const auto sigma = ops::sqrt<L, Real>(squares / static_cast<Real>(positions) + static_cast<Real>(eps));
          const auto a = ops::load<L>(weight + channel) / sigma;
          ops::store<L>(scale + sample * Channels + channel, a);
          ops::store<L>(shift + sample * Channels + channel, ops::load<L>(bias + channel) - mean * a);
        });
  }

  /// Overwrites y (samples, positions, Channels), which may be x, and scale and shift (samples, Channels).
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, int samples, int positions, const Real* x, Real* scale,
                      Real* shift, Real* y) {
    affine(exec, w, samples, positions, x, scale, shift);
    ops::scale_shift<Channels>(exec, samples, positions, x, scale, static_cast<const Real*>(shift), y);
  }

  /// dx = base + dL/dx; adds to dw. With xhat = (x - mean) r, r = 1 / sqrt(var + eps), and means over the positions:
  ///   dL/dx = r weight (dy - mean(dy) - xhat mean(dy xhat));  dweight = sum dy xhat;  dbias = sum dy
  /// base may be null for 0, dx may be dy or base; scratch: 2 x samples x Channels.
  template <class Exec>
  static void backward(const Exec& exec, const Weights& w, int samples, int positions, const Real* x, const Real* dy,
                       const Real* base, Real* dx, const Params<Real>& dw, Real* scratch) {
    const Real* weight = w.weight.data_handle();
    ops::channel_gradient<Channels>(
        exec, samples, positions, x, dy, base, dx,
        [=]<int L>(int sample, int channel, const ops::ChannelSums<Real, L>& sums) {
          const auto count = static_cast<Real>(positions);
          const auto rstd = 1 / ops::sqrt<L, Real>(sums.squares / count + static_cast<Real>(eps));
          const auto scale = rstd * ops::load<L>(weight + channel), dy_xhat = rstd * sums.dy_x;
          Real* shares = scratch + 2 * sample * Channels + channel;  // of this sample in dweight and dbias
          ops::store<L>(shares, dy_xhat);
          ops::store<L>(shares + Channels, sums.dy);
          return ops::ChannelGradient<Real, L>{scale, -scale * rstd * dy_xhat / count, -scale * sums.dy / count};
        });
    const Real* one = nullptr;
    ops::add_rows<Channels>(exec, samples, scratch, 2 * Channels, one, dw.weight.data_handle());
    ops::add_rows<Channels>(exec, samples, scratch + Channels, 2 * Channels, one, dw.bias.data_handle());
  }
};

}  // namespace fieldstep::blocks
