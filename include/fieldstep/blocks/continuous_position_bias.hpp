#pragma once
#include <fieldstep/blocks/relative_position_bias.hpp>  // Boundary
#include <fieldstep/core/error.hpp>

#include <array>

namespace fieldstep::blocks {

/// Attention bias as a function of the normalised distance, through an MLP with 512 hidden units:
///   bias[head, i, j] = 16 sigmoid(W2 relu(W1 c + b1))[head],  c = coordinate of j - i
/// Open: c = (j - i)/(L - 1). Periodic: the wrapped distance over L - 1, defined for even L only.
/// Source: Liu et al. 2022, arXiv:2111.09883, section 3.3, as MPP's ContinuousPositionBias1D.
template <class Real, int Heads>
struct ContinuousPositionBias1D {
  static constexpr bool active = true;
  static constexpr int hidden = 512;

  template <class R>
  struct Params {
    Tensor<R, hidden, 1> weight1{nullptr};
    Tensor<R, hidden> bias1{nullptr};
    Tensor<R, Heads, hidden> weight2{nullptr};
    using hana_accessors_impl = Fields<Field<"cpb_mlp.0.weight", &Params::weight1, init_weight(1)>,
                                       Field<"cpb_mlp.0.bias", &Params::bias1, init_bias(1)>,
                                       Field<"cpb_mlp.2.weight", &Params::weight2, init_weight(hidden)>>;
  };
  using Weights = Params<const Real>;

  /// Coordinate of the distance delta = key - query before it is divided by length - 1.
  static int distance(int delta, int length, Boundary boundary) {
    if (boundary != Boundary::periodic) return delta;
    const int half = length / 2, m = delta + length - 1;  // place in [1..K], [-(K-1)..K], [-(K-1)..-1], K = half
    if (m < half) return m + 1;
    if (m < 3 * half) return m - half - (half - 1);
    return m - 3 * half - (half - 1);
  }

  /// Overwrites bias (Heads, Length, Length): row = query, column = key.
  template <int Length>
  static void table(const Weights& w, Boundary boundary, Real* bias) {
    if (Length == 1) fail_usage("ContinuousPositionBias1D: an axis of one point has no distances; wanted at least two");
    if (boundary == Boundary::periodic && Length % 2 != 0)
      fail_usage("ContinuousPositionBias1D: found a periodic axis of ", Length, " points; wanted an even number");
    std::array<std::array<Real, Heads>, static_cast<std::size_t>(2 * Length - 1)> of_delta;
    for (int delta = 1 - Length; delta < Length; ++delta)
      of_delta[static_cast<std::size_t>(delta + Length - 1)] = sigmoids(w, coordinate<Length>(delta, boundary));
    for (std::size_t head = 0; head < Heads; ++head)
      for (int i = 0; i < Length; ++i)
        for (int j = 0; j < Length; ++j) *bias++ = 16 * of_delta[static_cast<std::size_t>(j - i + Length - 1)][head];
  }

  /// Adds to dw what dbias (Heads, Length, Length) gives. For every distance, with s the sigmoid, a = W1 c + b1:
  ///   dz = 16 s (1 - s) sum dbias;  dW2 += dz relu(a);  da = (W2^T dz where a > 0);  dW1 += da c;  db1 += da
  template <int Length>
  static void backward(const Weights& w, Boundary boundary, const Real* dbias, const Params<Real>& dw) {
    for (int delta = 1 - Length; delta < Length; ++delta) {
      const Real c = coordinate<Length>(delta, boundary);
      std::array<Real, Heads> dz = sigmoids(w, c);
      for (std::size_t head = 0; head < Heads; ++head)
        dz[head] *= 16 * (1 - dz[head]) * detail::sum_at_distance<Length>(dbias + head * Length * Length, delta);
      for (int u = 0; u < hidden; ++u) {
        const Real a = w.weight1(u, 0) * c + w.bias1(u);
        if (!(a > 0)) continue;
        Real da = 0;
        for (int head = 0; head < Heads; ++head) {
          const Real d = dz[static_cast<std::size_t>(head)];
          dw.weight2(head, u) += d * a;
          da += d * w.weight2(head, u);
        }
        dw.weight1(u, 0) += da * c;
        dw.bias1(u) += da;
      }
    }
  }

 private:
  template <int Length>
  static Real coordinate(int delta, Boundary boundary) {
    return Real(distance(delta, Length, boundary)) / Real(Length > 1 ? Length - 1 : 1);
  }

  /// sigmoid(W2 relu(W1 coordinate + b1)) of every head.
  static std::array<Real, Heads> sigmoids(const Weights& w, Real coordinate) {
    std::array<Real, Heads> logits{};
    for (int u = 0; u < hidden; ++u) {
      const Real a = w.weight1(u, 0) * coordinate + w.bias1(u);
      if (a > 0)
        for (int head = 0; head < Heads; ++head) logits[static_cast<std::size_t>(head)] += w.weight2(head, u) * a;
    }
    for (Real& z : logits) z = 1 / (1 + std::exp(-z));
    return logits;
  }
};

}  // namespace fieldstep::blocks
