#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/vec.hpp>

#include <cstddef>

namespace fieldstep::ops {

/// Scaled dot-product attention of one query over Length keys; the scores never leave the core.
///   out = sum_j softmax_j(q . k_j * scale + bias_j) v_j        q, out: Dim numbers; k_j, v_j at k + j * stride
template <int Length, int Dim, class Real>
struct AttendOne {
  static constexpr int L = lanes_for<Real>(Dim), vectors = Dim / L;
  static constexpr int W = lanes<Real>, padded = (Length + W - 1) / W * W;
  using Row = vec<Real, L>[vectors];

  [[gnu::always_inline]] static void run(const Row& q, const Real* k, const Real* v, std::ptrdiff_t stride,
                                         const Real* bias, Real scale, Row& out) {
    alignas(64) Real score[padded];
    for (int j = Length; j < padded; ++j) score[j] = Real(-1e30);
    for (int j = 0; j < Length; ++j) {
      vec<Real, L> dot{};
      for (int c = 0; c < vectors; ++c) dot += q[c] * load<L>(k + j * stride + c * L);
      score[j] = sum<Real, L>(dot) * scale + (bias ? bias[j] : Real(0));
    }
    Real highest = score[0];
    for (int j = 1; j < Length; ++j) highest = score[j] > highest ? score[j] : highest;
    vec<Real, W> total{};
    for (int j = 0; j < padded; j += W) {
      const vec<Real, W> e = exp<Real, W>(load<W>(score + j) - highest);
      store<W>(score + j, e);
      total += e;
    }
    for (int c = 0; c < vectors; ++c) out[c] = vec<Real, L>{};
    for (int j = 0; j < Length; ++j)
      for (int c = 0; c < vectors; ++c) out[c] += score[j] * load<L>(v + j * stride + c * L);
    // The padding's exp(-87) is below the rounding of a sum that holds exp(0).
    const Real inverse = 1 / sum<Real, W>(total);
    for (int c = 0; c < vectors; ++c) out[c] *= inverse;
  }
};

/// Layer normalisation in place over the channels of each head, one weight and bias for all heads.
///   x: (tokens, Heads, Dim) with `stride` numbers from token to token
template <int Heads, int Dim, class Exec, class Real>
void normalise_heads(const Exec& exec, int tokens, std::ptrdiff_t stride, const Real* weight, const Real* bias,
                     double eps, Real* x) {
  constexpr int L = lanes_for<Real>(Dim), vectors = Dim / L;
  for_ranges(exec, tokens, [=](int begin, int end) {
    for (int token = begin; token < end; ++token)
      for (int head = 0; head < Heads; ++head) {
        Real* at = x + token * stride + head * Dim;
        vec<Real, L> v[vectors], total{}, squares{};
        for (int c = 0; c < vectors; ++c) total += v[c] = load<L>(at + c * L);
        const Real mean = sum<Real, L>(total) / Dim;
        for (int c = 0; c < vectors; ++c) v[c] -= mean, squares += v[c] * v[c];
        const Real rstd = 1 / std::sqrt(sum<Real, L>(squares) / Dim + static_cast<Real>(eps));
        for (int c = 0; c < vectors; ++c)
          store<L>(at + c * L, v[c] * rstd * load<L>(weight + c * L) + load<L>(bias + c * L));
      }
  });
}

/// Attention along time: every position and head on its own, Frames keys.
///   qkv: (batch, Frames, positions, 3, Heads, Dim); bias: (Heads, Frames, Frames) or null
///   out: (batch, queries, positions, Heads * Dim). queries = Frames; or 1, the last frame's: then its q rows are read
///   from the first batch * positions tokens of qkv.
template <int Frames, int Heads, int Dim, class Exec, class Real>
void temporal_attention(const Exec& exec, int batch, int positions, int queries, const Real* qkv, const Real* bias,
                        Real scale, Real* out) {
  using Attend = AttendOne<Frames, Dim, Real>;
  constexpr std::ptrdiff_t width = Heads * Dim, token = 3 * width;
  for_ranges(exec, batch * positions, [=](int begin, int end) {
    for (int item = begin; item < end; ++item) {
      const int b = item / positions, position = item % positions;
      for (int head = 0; head < Heads; ++head) {
        const Real* k =
            qkv + (static_cast<std::ptrdiff_t>(b) * Frames * positions + position) * token + width + head * Dim;
        for (int query = 0; query < queries; ++query) {
          const int t = queries == Frames ? query : Frames - 1;
          const std::ptrdiff_t row = (static_cast<std::ptrdiff_t>(b) * queries + query) * positions + position;
          const Real* q_row = qkv + row * token + head * Dim;
          typename Attend::Row q, o;
          for (int c = 0; c < Attend::vectors; ++c) q[c] = load<Attend::L>(q_row + c * Attend::L);
          Attend::run(q, k, k + width, positions * token, bias ? bias + (head * Frames + t) * Frames : nullptr, scale,
                      o);
          for (int c = 0; c < Attend::vectors; ++c)
            store<Attend::L>(out + row * width + head * Dim + c * Attend::L, o[c]);
        }
      }
    }
  });
}

/// Axial attention: every token attends over its row and over its column; the result is the mean of the two.
///   qkv: (samples, Rows, Columns, 3, Heads, Dim); bias_x: (Heads, Columns, Columns), bias_y: (Heads, Rows, Rows) or
///   null out: (samples, Rows, Columns, Heads * Dim)
/// Source: Ho et al. 2019, arXiv:1912.12180, as averaged in MPP's AxialAttentionBlock.
template <int Rows, int Columns, int Heads, int Dim, class Exec, class Real>
void axial_attention(const Exec& exec, int samples, const Real* qkv, const Real* bias_x, const Real* bias_y, Real scale,
                     Real* out) {
  using AlongRow = AttendOne<Columns, Dim, Real>;
  using AlongColumn = AttendOne<Rows, Dim, Real>;
  constexpr std::ptrdiff_t width = Heads * Dim, token = 3 * width;
  constexpr int L = AlongRow::L, vectors = AlongRow::vectors;
  for_ranges(exec, samples * Rows * Heads, [=](int begin, int end) {
    for (int item = begin; item < end; ++item) {
      const int head = item % Heads, i = item / Heads % Rows, sample = item / Heads / Rows;
      const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(sample) * Rows * Columns;  // token (0, 0)
      const Real* k = qkv + first * token + width + head * Dim;
      for (int j = 0; j < Columns; ++j) {
        const std::ptrdiff_t here = first + i * Columns + j;
        typename AlongRow::Row q, x, y;
        for (int c = 0; c < vectors; ++c) q[c] = load<L>(qkv + here * token + head * Dim + c * L);
        const Real* row_k = k + i * Columns * token;
        AlongRow::run(q, row_k, row_k + width, token, bias_x ? bias_x + (head * Columns + j) * Columns : nullptr, scale,
                      x);
        const Real* column_k = k + j * token;
        AlongColumn::run(q, column_k, column_k + width, Columns * token,
                         bias_y ? bias_y + (head * Rows + i) * Rows : nullptr, scale, y);
        Real* to = out + here * width + head * Dim;
        for (int c = 0; c < vectors; ++c) store<L>(to + c * L, (x[c] + y[c]) * Real(0.5));
      }
    }
  });
}

// --- The same, naively: for any execution space, yardstick of the tests and benchmarks, and the device path ---

namespace detail {

/// out += share * attention of one query.
template <int Length, int Dim, class Real>
KOKKOS_FUNCTION void attend_naive(const Real* q, const Real* k, const Real* v, std::ptrdiff_t stride, const Real* bias,
                                  Real scale, Real share, Real* out) {
  Real score[Length], highest = 0, total = 0;
  for (int j = 0; j < Length; ++j) {
    Real dot = 0;
    for (int c = 0; c < Dim; ++c) dot += q[c] * k[j * stride + c];
    score[j] = dot * scale + (bias ? bias[j] : Real(0));
    highest = j == 0 ? score[0] : Kokkos::max(highest, score[j]);
  }
  for (int j = 0; j < Length; ++j) total += score[j] = Kokkos::exp(score[j] - highest);
  for (int j = 0; j < Length; ++j)
    for (int c = 0; c < Dim; ++c) out[c] += share * score[j] / total * v[j * stride + c];
}

}  // namespace detail

/// As normalise_heads; one thread a head of a token.
template <int Heads, int Dim, class Exec, class Real>
void normalise_heads_naive(const Exec& exec, int tokens, std::ptrdiff_t stride, const Real* weight, const Real* bias,
                           double eps, Real* x) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {tokens, Heads}), KOKKOS_LAMBDA(int token, int head) {
        Real* at = x + token * stride + head * Dim;
        Real mean = 0, variance = 0;
        for (int c = 0; c < Dim; ++c) mean += at[c] / Dim;
        for (int c = 0; c < Dim; ++c) variance += (at[c] - mean) * (at[c] - mean) / Dim;
        const Real rstd = 1 / Kokkos::sqrt(variance + static_cast<Real>(eps));
        for (int c = 0; c < Dim; ++c) at[c] = (at[c] - mean) * rstd * weight[c] + bias[c];
      });
}

/// As temporal_attention; one thread a query of a head.
template <int Frames, int Heads, int Dim, class Exec, class Real>
void temporal_attention_naive(const Exec& exec, int batch, int positions, int queries, const Real* qkv,
                              const Real* bias, Real scale, Real* out) {
  constexpr std::ptrdiff_t width = Heads * Dim, token = 3 * width;
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<3>>(exec, {0, 0, 0}, {batch * queries, positions, Heads}),
      KOKKOS_LAMBDA(int sample, int position, int head) {
        const int b = sample / queries, t = queries == Frames ? sample % queries : Frames - 1;
        const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(sample) * positions + position;
        const Real* q = qkv + row * token + head * Dim;
        const Real* k =
            qkv + (static_cast<std::ptrdiff_t>(b) * Frames * positions + position) * token + width + head * Dim;
        Real* to = out + row * width + head * Dim;
        for (int c = 0; c < Dim; ++c) to[c] = 0;
        detail::attend_naive<Frames, Dim>(q, k, k + width, positions * token,
                                          bias ? bias + (head * Frames + t) * Frames : nullptr, scale, Real(1), to);
      });
}

/// As axial_attention; one thread a query of a head.
template <int Rows, int Columns, int Heads, int Dim, class Exec, class Real>
void axial_attention_naive(const Exec& exec, int samples, const Real* qkv, const Real* bias_x, const Real* bias_y,
                           Real scale, Real* out) {
  constexpr std::ptrdiff_t width = Heads * Dim, token = 3 * width;
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<4>>(exec, {0, 0, 0, 0}, {samples, Rows, Columns, Heads}),
      KOKKOS_LAMBDA(int sample, int i, int j, int head) {
        const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(sample) * Rows * Columns;  // token (0, 0)
        const std::ptrdiff_t here = first + i * Columns + j;
        const Real* q = qkv + here * token + head * Dim;
        const Real* k = qkv + first * token + width + head * Dim;
        const Real *row_k = k + i * Columns * token, *column_k = k + j * token;
        Real* to = out + here * width + head * Dim;
        for (int c = 0; c < Dim; ++c) to[c] = 0;
        detail::attend_naive<Columns, Dim>(q, row_k, row_k + width, token,
                                           bias_x ? bias_x + (head * Columns + j) * Columns : nullptr, scale, Real(0.5),
                                           to);
        detail::attend_naive<Rows, Dim>(q, column_k, column_k + width, Columns * token,
                                        bias_y ? bias_y + (head * Rows + i) * Rows : nullptr, scale, Real(0.5), to);
      });
}

}  // namespace fieldstep::ops
