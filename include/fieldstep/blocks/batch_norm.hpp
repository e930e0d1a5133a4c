#pragma once
#include <fieldstep/core/params.hpp>
#include <fieldstep/ops/layer_norm.hpp>  // ChannelAffine
#include <fieldstep/ops/statistics_backward.hpp>

#include <cmath>

namespace fieldstep::blocks {

/// Normalisation of every channel over batch and positions, by running statistics in inference and by those of the
/// batch in training:
///   y[r,c] = weight[c] (x[r,c] - mean[c]) / sqrt(var[c] + 1e-5) + bias[c]
/// Source: Ioffe and Szegedy 2015, arXiv:1502.03167; torch.nn.BatchNorm2d, momentum 0.1.
template <class Real, int Dim>
struct BatchNorm {
  static constexpr double eps = 1e-5, momentum = 0.1;

  template <class R>
  struct Params {
    Tensor<R, Dim> weight{nullptr};
    Tensor<R, Dim> bias{nullptr};
    Tensor<R, Dim> running_mean{nullptr};
    Tensor<R, Dim> running_var{nullptr};
    using hana_accessors_impl =
        Fields<Field<"weight", &Params::weight, init_constant(1)>, Field<"bias", &Params::bias, init_constant(0)>,
               Field<"running_mean", &Params::running_mean, init_buffer(0)>,
               Field<"running_var", &Params::running_var, init_buffer(1)>>;
  };
  using Weights = Params<const Real>;

  /// The norm of inference as a scale and a shift, written to memory (2 Dim numbers).
  static ops::ChannelAffine<Real> affine(const Weights& w, Real* memory) {
    for (int c = 0; c < Dim; ++c) {
      memory[c] = w.weight(c) / std::sqrt(w.running_var(c) + static_cast<Real>(eps));
      memory[Dim + c] = w.bias(c) - w.running_mean(c) * memory[c];
    }
    return {memory, memory + Dim};
  }

  /// The norm of training for x (rows, Dim): by the batch's biased variance. `running` takes the new running
  /// statistics, to which the unbiased variance counts.
  template <class Exec>
  static ops::ChannelAffine<Real> affine(const Exec& exec, const Weights& w, int rows, const Real* x, Real* memory,
                                         const Params<Real>& running) {
    const auto after = [=](Real before, Real now) { return before + static_cast<Real>(momentum) * (now - before); };
    ops::channel_statistics<Dim>(exec, 1, rows, x, 0, [=]<int L>(int, int channel, auto mean, auto squares) {
      for (int l = 0; l < L; ++l) {
        const int c = channel + l;
        const Real scale = w.weight(c) / std::sqrt(squares[l] / static_cast<Real>(rows) + static_cast<Real>(eps));
        memory[c] = scale;
        memory[Dim + c] = w.bias(c) - mean[l] * scale;
        running.running_mean(c) = after(w.running_mean(c), mean[l]);
        running.running_var(c) = after(w.running_var(c), squares[l] / static_cast<Real>(rows - 1));
      }
    });
    return {memory, memory + Dim};
  }

  /// Overwrites dx, adds to dw, from dy = dL/dy for x (rows, Dim); dx may be dy. With r = 1 / sqrt(var + eps) and
  /// xhat = (x - mean) r:
  ///   dweight = sum dy xhat;  dbias = sum dy
  ///   by running statistics: dx = weight r dy
  ///   by the batch's:        dx = weight r (dy - mean(dy) - xhat mean(dy xhat))
  template <class Exec>
  static void backward(const Exec& exec, const Weights& w, int rows, bool by_batch, const Real* x, const Real* dy,
                       Real* dx, const Params<Real>& dw) {
    const Real* base = nullptr;
    ops::channel_gradient<Dim>(
        exec, 1, rows, x, dy, base, dx, [=]<int L>(int, int c, const ops::ChannelSums<Real, L>& sums) {
          using V = ops::vec<Real, L>;
          const auto at = [=](const auto& tensor) { return ops::load<L>(tensor.data_handle() + c); };
          const auto add = [=](const auto& tensor, V sum) {
            ops::store<L>(tensor.data_handle() + c, ops::load<L>(tensor.data_handle() + c) + sum);
          };
          const auto count = static_cast<Real>(rows);
          const V variance = by_batch ? sums.squares / count : at(w.running_var);
          const V off_centre = by_batch ? V{} : sums.mean - at(w.running_mean);
          const V rstd = 1 / ops::sqrt<L, Real>(variance + static_cast<Real>(eps)), scale = at(w.weight) * rstd;
          const V dy_xhat = rstd * (sums.dy_x + off_centre * sums.dy);
          add(dw.weight, dy_xhat);
          add(dw.bias, sums.dy);
          const V none{};
          return by_batch
                     ? ops::ChannelGradient<Real, L>{scale, -scale * rstd * dy_xhat / count, -scale * sums.dy / count}
                     : ops::ChannelGradient<Real, L>{scale, none, none};
        });
  }
};

}  // namespace fieldstep::blocks
