#pragma once
#include <fieldstep/core/params.hpp>

#include <array>
#include <cmath>
#include <vector>

namespace fieldstep::blocks {

/// Attention bias of the tokens of a square window as a function of their log-spaced offset, through an MLP with 512
/// hidden units:
///   bias[head, dy, dx] = 16 sigmoid(W2 relu(W1 (c(dy), c(dx)) + b1))[head]
///   c(d) = sign(u) log2(|u| + 1) / 3,  u = 8 d / (extent - 1)
/// extent: the window in which the weights were trained, or this one.
/// Source: Liu et al. 2022, arXiv:2111.09883, section 3.3; transformers' Swinv2SelfAttention.
template <class Real, int Heads, int Window, int TrainedWindow = 0>
struct LogPositionBias {
  static_assert(Window > 1, "LogPositionBias: a window of one token has no distances");
  static constexpr int hidden = 512, side = 2 * Window - 1;

  template <class R>
  struct Params {
    Tensor<R, hidden, 2> weight1{nullptr};
    Tensor<R, hidden> bias1{nullptr};
    Tensor<R, Heads, hidden> weight2{nullptr};
    using hana_accessors_impl = Fields<Field<"0.weight", &Params::weight1, init_normal(0.02, 2)>,
                                       Field<"0.bias", &Params::bias1, init_constant(0)>,
                                       Field<"2.weight", &Params::weight2, init_normal(0.02, hidden)>>;
  };
  using Weights = Params<const Real>;

  /// Coordinate of an offset. In float and step by step, as the original makes its table whatever it computes in.
  static float coordinate(int offset) {
    constexpr int extent = TrainedWindow > 0 ? TrainedWindow : Window;
    float u = static_cast<float>(offset) / static_cast<float>(extent - 1);
    u *= 8.0f;
    const float logarithm = std::log2(std::abs(u) + 1.0f);
    return std::copysign(logarithm, u) / 3.0f;
  }

  /// Overwrites bias (Heads, side, side): offset query - key along y, then along x, each from 1 - Window.
  static void table(const Weights& w, Real* bias) {
    for (int dy = 0; dy < side; ++dy)
      for (int dx = 0; dx < side; ++dx) {
        const std::array<Real, Heads> logit = logits(w, dy, dx);
        for (int head = 0; head < Heads; ++head)
          bias[(head * side + dy) * side + dx] = 16 / (1 + std::exp(-logit[static_cast<std::size_t>(head)]));
      }
  }

  /// Shows the hidden layer before its ReLU, and what the sigmoid takes.
  template <class Tracer>
  static void show(const Weights& w, const Tracer& trace) {
    std::vector<Real> units, all;
    for (int dy = 0; dy < side; ++dy)
      for (int dx = 0; dx < side; ++dx) {
        for (int u = 0; u < hidden; ++u) units.push_back(unit(w, u, dy, dx));
        const std::array<Real, Heads> logit = logits(w, dy, dx);
        all.insert(all.end(), logit.begin(), logit.end());
      }
    trace("0", "ijc", {side, side, hidden}, units.data());
    trace("", "ijn", {side, side, Heads}, all.data());
  }

 private:
  /// Hidden unit u before its ReLU, at row dy and column dx of the table.
  static Real unit(const Weights& w, int u, int dy, int dx) {
    return w.weight1(u, 0) * coordinate(dy - Window + 1) + w.weight1(u, 1) * coordinate(dx - Window + 1) + w.bias1(u);
  }

  static std::array<Real, Heads> logits(const Weights& w, int dy, int dx) {
    std::array<Real, Heads> sum{};
    for (int u = 0; u < hidden; ++u) {
      const Real a = unit(w, u, dy, dx);
      if (a > 0)
        for (int head = 0; head < Heads; ++head) sum[static_cast<std::size_t>(head)] += w.weight2(head, u) * a;
    }
    return sum;
  }
};

}  // namespace fieldstep::blocks
