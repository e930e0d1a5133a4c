#pragma once
#include <fieldstep/core/params.hpp>

#include <cmath>

namespace fieldstep::blocks {

/// What lies beyond the ends of an axis. The values are MPP's labels: 1 is periodic, anything else open.
enum class Boundary : int { open = 0, periodic = 1 };

namespace detail {

/// Sum of the entries (query, query + delta) of a Length x Length table.
template <int Length, class Real>
Real sum_at_distance(const Real* table, int delta) {
  Real sum = 0;
  for (int query = 0; query < Length; ++query)
    if (const int key = query + delta; 0 <= key && key < Length) sum += table[query * Length + key];
  return sum;
}

}  // namespace detail

/// Attention bias read from a table of buckets of the distance between key and query, as in T5.
///   bias[head, i, j] = weight[bucket(j - i)][head];  periodic axes wrap the distance first
/// Source: Raffel et al. 2020, arXiv:1910.10683; MPP's RelativePositionBias, whose effective largest distance is 32.
template <class Real, int Heads>
struct RelativePositionBias {
  static constexpr bool active = true;
  static constexpr int buckets = 32;

  template <class R>
  struct Params {
    Tensor<R, buckets, Heads> weight{nullptr};
    using hana_accessors_impl = Fields<Field<"relative_attention_bias.weight", &Params::weight, init_embedding(Heads)>>;
  };
  using Weights = Params<const Real>;

  /// Bucket of the distance delta = key - query on an open axis: 16 for each direction, exact up to 7, then
  /// logarithmic.
  static int bucket(int delta) {
    const int base = delta > 0 ? 16 : 0, n = delta < 0 ? -delta : delta;
    if (n < 8) return base + n;
    const float steps = std::log(static_cast<float>(n) / 8.0f) / std::log(4.0f) * 8.0f;
    const int far = 8 + static_cast<int>(steps);
    return base + (far < 15 ? far : 15);
  }

  /// The distance on an axis of `length` points. For odd periodic lengths it is off by one beyond half the length (7:
  /// -4 becomes 2): the original's quirk, kept because trained weights depend on it.
  static constexpr int distance(int delta, int length, Boundary boundary) {
    if (boundary != Boundary::periodic) return delta;
    const int half = length / 2;
    const auto floored_mod = [](int a, int m) { return (a % m + m) % m; };
    if (half == 0) return delta;
    if (delta < -half) delta = floored_mod(delta, half);
    if (delta > half) delta = -floored_mod(-delta, half);
    return delta;
  }

  /// Overwrites bias (Heads, Length, Length): row = query, column = key.
  template <int Length>
  static void table(const Weights& w, Boundary boundary, Real* bias) {
    for (int head = 0; head < Heads; ++head)
      for (int i = 0; i < Length; ++i)
        for (int j = 0; j < Length; ++j) *bias++ = w.weight(bucket(distance(j - i, Length, boundary)), head);
  }

  /// Adds dbias (Heads, Length, Length) to the buckets it came from.
  template <int Length>
  static void backward(const Weights&, Boundary boundary, const Real* dbias, const Params<Real>& dw) {
    for (int delta = 1 - Length; delta < Length; ++delta) {
      const int from = bucket(distance(delta, Length, boundary));
      for (int head = 0; head < Heads; ++head)
        dw.weight(from, head) += detail::sum_at_distance<Length>(dbias + head * Length * Length, delta);
    }
  }
};

/// No position bias; jax_mpp's `none`.
template <class Real, int Heads>
struct NoPositionBias {
  static constexpr bool active = false;
  template <class R>
  struct Params {
    using hana_accessors_impl = Fields<>;
  };
  using Weights = Params<const Real>;
  template <int Length>
  static void table(const Weights&, Boundary, Real*) {}
  template <int Length>
  static void backward(const Weights&, Boundary, const Real*, const Params<Real>&) {}
};

}  // namespace fieldstep::blocks
