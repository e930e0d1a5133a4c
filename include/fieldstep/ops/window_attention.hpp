#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/detail/window_head.hpp>

#include <Kokkos_MathematicalFunctions.hpp>
#include <algorithm>
#include <cstddef>

// Cosine attention within windows of a token grid (Swin V2).
namespace fieldstep::ops {

namespace detail {

/// One head of one window where it lies, for the naive versions.
template <int Rows, int Columns, int Window, int Heads, int Dim, class Real>
struct WindowHeadInPlace {
  using Windows = WindowGrid<Rows, Columns, Window>;
  static constexpr int N = Windows::length, table = (2 * Window - 1) * (2 * Window - 1);
  static constexpr std::ptrdiff_t width = Heads * Dim;
  const Real *qkv, *pad, *scale, *bias;
  int shift, item, head;  // item: sample * windows + window

  KOKKOS_FUNCTION constexpr auto place(int n) const { return Windows::place(item % Windows::windows, n, shift); }
  KOKKOS_FUNCTION bool padding(int n) const { return place(n).token() < 0; }
  /// Row of token n of the window, which is no padding.
  KOKKOS_FUNCTION std::ptrdiff_t row(int n) const {
    return static_cast<std::ptrdiff_t>(item / Windows::windows) * Rows * Columns + place(n).token();
  }
  /// Its query, key or value.
  KOKKOS_FUNCTION const Real* part(int n, int p) const {
    return (padding(n) ? pad : qkv + row(n) * 3 * width) + p * width + head * Dim;
  }

  KOKKOS_FUNCTION static Real dot(const Real* a, const Real* b) {
    Real sum = 0;
    for (int c = 0; c < Dim; ++c) sum += a[c] * b[c];
    return sum;
  }
  KOKKOS_FUNCTION static Real inverse_norm(const Real* v) {
    return 1 / Kokkos::max(Kokkos::sqrt(dot(v, v)), Real(1e-12));
  }

  /// Cosines of a query and every key, and what the query makes of them.
  KOKKOS_FUNCTION void weigh(int query, Real (&cosine)[N], Real (&probability)[N]) const {
    const Real* q = part(query, 0);
    const Real q_inverse = inverse_norm(q);
    Real highest = 0, total = 0;
    for (int n = 0; n < N; ++n) {
      cosine[n] = dot(q, part(n, 1)) * q_inverse * inverse_norm(part(n, 1));
      probability[n] = cosine[n] * scale[head] + bias[head * table + bias_row<Window>(query, n)];
      if (place(n).region != place(query).region) probability[n] += Real(window_mask);
      highest = n == 0 ? probability[0] : Kokkos::max(highest, probability[n]);
    }
    for (int n = 0; n < N; ++n) total += probability[n] = Kokkos::exp(probability[n] - highest);
    for (int n = 0; n < N; ++n) probability[n] /= total;
  }
};

}  // namespace detail

/// out = softmax(scale (q/|q|) (k/|k|)^T + bias + mask) v in every window and head; one thread a query of a head.
///   qkv: (samples, Rows, Columns, 3, Heads, Dim); pad: (3, Heads, Dim), what a padded token holds
///   scale: (Heads); bias: (Heads, 2 Window - 1, 2 Window - 1); out: (samples, Rows, Columns, Heads * Dim)
///   keep: factors of the probabilities' dropout, (samples * windows, Heads, length, length), null for 1
///   probabilities: the same shape, what keep multiplied, to be shown; null to leave them out
/// For any execution space: yardstick of the tests and benchmarks, the device path, and training with dropout.
/// Source: Liu et al. 2022, arXiv:2111.09883, eq. 2, with |q| and |k| at least 1e-12.
template <int Rows, int Columns, int Window, int Heads, int Dim, class Exec, class Real>
void window_attention_naive(const Exec& exec, int samples, int shift, const Real* qkv, const Real* pad,
                            const Real* scale, const Real* bias, Real* out, const Real* keep = nullptr,
                            Real* probabilities = nullptr) {
  using Head = detail::WindowHeadInPlace<Rows, Columns, Window, Heads, Dim, Real>;
  constexpr int N = Head::N;
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<3>>(exec, {0, 0, 0}, {samples * Head::Windows::windows, Heads, N}),
      KOKKOS_LAMBDA(int item, int head, int query) {
        const Head at{qkv, pad, scale, bias, shift, item, head};
        Real cosine[N], probability[N];
        at.weigh(query, cosine, probability);
        const std::ptrdiff_t row = ((static_cast<std::ptrdiff_t>(item) * Heads + head) * N + query) * N;
        for (int n = 0; n < N; ++n) {
          if (keep) probability[n] *= keep[row + n];
          if (probabilities) probabilities[row + n] = probability[n];
        }
        if (at.padding(query)) return;
        Real* to = out + at.row(query) * Head::width + head * Dim;
        for (int c = 0; c < Dim; ++c) to[c] = 0;
        for (int n = 0; n < N; ++n)
          for (int c = 0; c < Dim; ++c) to[c] += probability[n] * at.part(n, 2)[c];
      });
}

/// The same on the host, without dropout: a work item is some tiles of queries of one head of one window.
template <int Rows, int Columns, int Window, int Heads, int Dim, class Exec, class Real>
void window_attention(const Exec& exec, int samples, int shift, const Real* qkv, const Real* pad, const Real* scale,
                      const Real* bias, Real* out) {
  using Windows = WindowGrid<Rows, Columns, Window>;
  using Head = detail::WindowHead<Rows, Columns, Window, Dim, Real>;
  constexpr int table = (2 * Window - 1) * (2 * Window - 1);
  constexpr std::ptrdiff_t width = Heads * Dim, tokens = std::ptrdiff_t{Rows} * Columns;
  for_ranges(exec, samples * Windows::windows * Heads * Head::tiles, [=](int begin, int end) {
    Head work;
    for (int item = begin; item < end;) {
      const int t = item % Head::tiles, head = item / Head::tiles % Heads;
      const int window = item / Head::tiles / Heads % Windows::windows;
      const std::ptrdiff_t first = item / Head::tiles / Heads / Windows::windows * tokens;  // of the sample
      if (item == begin || (t == 0 && head == 0)) work.enter(window, shift);
      work.load_head(qkv + first * 3 * width + head * Dim, pad + head * Dim, width, scale[head], bias + head * table);
      const int last = std::min(end, item - t + Head::tiles);  // the rest of this head
      for (int i = t; item < last; ++i, ++item) work.attend(i, out + first * width + head * Dim, width);
    }
  });
}

}  // namespace fieldstep::ops
