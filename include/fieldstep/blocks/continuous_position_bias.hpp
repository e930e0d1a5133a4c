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
    std::array<Real, static_cast<std::size_t>(2 * Length - 1) * Heads> of_delta;
    for (int delta = 1 - Length; delta < Length; ++delta) {
      const Real coordinate = Real(distance(delta, Length, boundary)) / Real(Length > 1 ? Length - 1 : 1);
      Real logits[Heads] = {};
      for (int u = 0; u < hidden; ++u) {
        const Real a = w.weight1(u, 0) * coordinate + w.bias1(u);
        if (a > 0)
          for (int head = 0; head < Heads; ++head) logits[head] += w.weight2(head, u) * a;
      }
      for (int head = 0; head < Heads; ++head)
        of_delta[static_cast<std::size_t>((delta + Length - 1) * Heads + head)] = 16 / (1 + std::exp(-logits[head]));
    }
    for (int head = 0; head < Heads; ++head)
      for (int i = 0; i < Length; ++i)
        for (int j = 0; j < Length; ++j)
          *bias++ = of_delta[static_cast<std::size_t>((j - i + Length - 1) * Heads + head)];
  }
};

}  // namespace fieldstep::blocks
