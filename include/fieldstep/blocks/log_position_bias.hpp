#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/core/params.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/vec.hpp>

#include <algorithm>
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
  template <class Exec>
  static void table(const Exec& exec, const Weights& w, Real* bias) {
    for_ranges(exec, side, [=, units = Units(w)](int begin, int end) {
      std::array<Real, hidden> active;
      for (int dy = begin; dy < end; ++dy)
        for (int dx = 0; dx < side; ++dx) {
          for (int u = 0; u < hidden; u += L) {
            const Vec a = units.before_relu(u, dy, dx);
            ops::store<L>(active.data() + u, a > 0 ? a : Vec{});
          }
          for (int head = 0; head < Heads; ++head) {
            Vec sum{};
            for (int u = 0; u < hidden; u += L)
              sum += ops::load<L>(active.data() + u) * ops::load<L>(&w.weight2(head, u));
            bias[(head * side + dy) * side + dx] = 16 / (1 + std::exp(-ops::sum<Real, L>(sum)));
          }
        }
    });
  }

  /// Gradient of table(): turns dbias (Heads, side, side) into that of what the sigmoid takes, with dlogit = dbias bias
  /// (1 - bias/16), and adds to dw. A thread owns hidden units and sums over the table in order.
  template <class Exec, class Tracer = NoTrace>
  static void backward(const Exec& exec, const Weights& w, const Real* bias, Real* dbias, const Params<Real>& dw,
                       const Tracer& trace = {}) {
    for_ranges(exec, Heads * side, [=](int begin, int end) {
      for (int i = begin * side; i < end * side; ++i) dbias[i] *= bias[i] * (1 - bias[i] / 16);
    });
    const Real* dlogit = dbias;
    for_ranges(exec, hidden / L, [=, units = Units(w)](int begin, int end) {
      for (int u = begin * L; u < end * L; u += L) {
        Vec dweight2[Heads] = {}, dy_weight{}, dx_weight{}, dunit_sum{};
        for (int dy = 0; dy < side; ++dy)
          for (int dx = 0; dx < side; ++dx) {
            const Vec a = units.before_relu(u, dy, dx);
            const Vec active = a > 0 ? a : Vec{};
            Vec da{};
            for (int head = 0; head < Heads; ++head) {
              const Real g = dlogit[(head * side + dy) * side + dx];
              da += g * ops::load<L>(&w.weight2(head, u));
              dweight2[head] += g * active;
            }
            da = a > 0 ? da : Vec{};
            dy_weight += da * units.place[static_cast<std::size_t>(dy)],
                dx_weight += da * units.place[static_cast<std::size_t>(dx)], dunit_sum += da;
          }
        for (int l = 0; l < L; ++l) {
          dw.weight1(u + l, 0) += dy_weight[l], dw.weight1(u + l, 1) += dx_weight[l], dw.bias1(u + l) += dunit_sum[l];
          for (int head = 0; head < Heads; ++head) dw.weight2(head, u + l) += dweight2[head][l];
        }
      }
    });
    if constexpr (Tracer::active) show_gradient(w, dlogit, trace);
  }

  /// Shows the hidden layer before its ReLU, and what the sigmoid takes.
  template <class Tracer>
  static void show(const Weights& w, const Tracer& trace) {
    std::vector<Real> before, logits(std::size_t{side} * side * Heads);
    for_each_unit(w, [&](int entry, int u, Real a) {
      before.push_back(a);
      for (int head = 0; head < Heads; ++head)
        logits[static_cast<std::size_t>(entry * Heads + head)] += w.weight2(head, u) * std::max(a, Real(0));
    });
    trace("0", "ijc", {side, side, hidden}, before.data());
    trace("", "ijn", {side, side, Heads}, logits.data());
  }

 private:
  static constexpr int L = ops::lanes<Real>;
  using Vec = ops::vec<Real, L>;
  static_assert(hidden % L == 0);

  /// The hidden layer by vectors of units, and the coordinates of all offsets.
  struct Units {
    std::array<Real, hidden> along_y, along_x, bias;
    std::array<Real, side> place;

    explicit Units(const Weights& w) {
      for (int u = 0; u < hidden; ++u) {
        const auto at = static_cast<std::size_t>(u);
        along_y[at] = w.weight1(u, 0), along_x[at] = w.weight1(u, 1), bias[at] = w.bias1(u);
      }
      for (int i = 0; i < side; ++i) place[static_cast<std::size_t>(i)] = coordinate(i - Window + 1);
    }
    Vec before_relu(int u, int dy, int dx) const {
      return ops::load<L>(along_y.data() + u) * place[static_cast<std::size_t>(dy)] +
             ops::load<L>(along_x.data() + u) * place[static_cast<std::size_t>(dx)] + ops::load<L>(bias.data() + u);
    }
  };

  /// Calls visit(entry of the table, hidden unit, its value before the ReLU).
  template <class Visit>
  static void for_each_unit(const Weights& w, const Visit& visit) {
    for (int entry = 0; entry < side * side; ++entry)
      for (int u = 0; u < hidden; ++u)
        visit(entry, u,
              w.weight1(u, 0) * coordinate(entry / side - Window + 1) +
                  w.weight1(u, 1) * coordinate(entry % side - Window + 1) + w.bias1(u));
  }

  template <class Tracer>
  static void show_gradient(const Weights& w, const Real* dlogit, const Tracer& trace) {
    std::vector<Real> dbefore, dlogits;
    for_each_unit(w, [&](int entry, int u, Real a) {
      Real da = 0;
      for (int head = 0; head < Heads; ++head) {
        const Real g = dlogit[head * side * side + entry];
        if (u == 0) dlogits.push_back(g);
        if (a > 0) da += g * w.weight2(head, u);
      }
      dbefore.push_back(da);
    });
    trace("0", "ijc", {side, side, hidden}, dbefore.data());
    trace("", "ijn", {side, side, Heads}, dlogits.data());
  }
};

}  // namespace fieldstep::blocks
