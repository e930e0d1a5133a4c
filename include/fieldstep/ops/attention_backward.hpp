#pragma once
#include <fieldstep/ops/detail/head_gradient.hpp>
#include <fieldstep/ops/partial_sums.hpp>

#include <algorithm>
#include <cstddef>

// Gradients of attention.hpp together with the layer norms of its queries and keys, for every head and every sequence
// of tokens (a position's frames, a row, a column) on its own:
//   q = qnorm(x_q), k = knorm(x_k);  P = softmax(scale q k^T + bias);  out = P v
//   dv = P^T dout;  dP = dout v^T;  dS = P (dP - rowsum(P dP));  dbias += dS;  dq = scale dS k;  dk = scale dS^T q
// then through the norms. What is saved is the projection before the norms: q, k and P are made anew and never leave
// the core. Sums over sequences are cut into attention_parts parts, whatever the number of threads.
namespace fieldstep::ops {

/// Parts of the sequences that are summed on their own; with the heads they are the work items.
inline constexpr int attention_parts = 16;

/// Numbers of scratch that the gradient of attention over sequences of `length` tokens needs; of axial attention the
/// longer axis counts.
template <int Heads, int Dim>
constexpr std::size_t attention_backward_scratch_size(int length) {
  return std::size_t{attention_parts} * Heads * (static_cast<std::size_t>(length * length) + 4 * Dim);
}

namespace detail {

/// First of the sequences of a part.
KOKKOS_INLINE_FUNCTION int part_begin(int sequences, int part) {
  return static_cast<int>(static_cast<long>(sequences) * part / attention_parts);
}

/// Sequences that lie side by side: outer_step tokens from one set of `inner` of them to the next, inner_step from one
/// to the next within a set, and step from token to token.
struct Sequences {
  int inner;
  std::ptrdiff_t outer_step, outer_query_step, inner_step, step;

  KOKKOS_FUNCTION Sequence operator()(int s) const {
    const std::ptrdiff_t outer = s / inner, within = s % inner * inner_step;
    return {outer * outer_step + within, outer * outer_query_step + within, step};
  }
};
constexpr Sequences along_time(int frames, int queries, std::ptrdiff_t positions) {
  return {static_cast<int>(positions), frames * positions, queries * positions, 1, positions};
}
constexpr Sequences along_rows(int rows, std::ptrdiff_t columns) {
  return {rows, rows * columns, rows * columns, columns, 1};
}
constexpr Sequences along_columns(int rows, int columns) {
  const std::ptrdiff_t tokens = std::ptrdiff_t{rows} * columns;
  return {columns, tokens, tokens, 1, columns};
}

/// The gradient of attention along `count` sequences. Norms: ends with that of the layer norms; Add: starts from what
/// dqkv holds.
template <int Length, int Heads, int Dim, bool Add, bool Norms, class Exec, class Real>
void attention_backward(const Exec& exec, int count, int queries, const Sequences& sequence, const Real* qkv,
                        const HeadNorms<const Real>& norms, double eps, const Real* bias, Real scale, const Real* dout,
                        Real share, Real* dqkv, const HeadNorms<Real>& dnorms, Real* dbias, Real* scratch) {
  constexpr int table = Length * Length;
  constexpr std::ptrdiff_t width = Heads * Dim;
  Real* norm_sums = scratch + attention_parts * Heads * table;
  for_ranges(exec, attention_parts * Heads, [=](int begin, int end) {
    HeadGradient<Length, Dim, Real> work(queries);
    for (int item = begin; item < end;) {
      const int part = item / Heads, head_begin = item % Heads, head_end = std::min(Heads, head_begin + end - item);
      const int next = item + head_end - head_begin;
      std::fill(scratch + item * table, scratch + next * table, Real(0));
      std::fill(norm_sums + item * 4 * Dim, norm_sums + next * 4 * Dim, Real(0));
      for (int s = part_begin(count, part); s < part_begin(count, part + 1); ++s)
        for (int head = head_begin; head < head_end; ++head) {  // inside: the heads of a token lie side by side
          const int here = part * Heads + head;
          work.load(qkv + head * Dim, width, sequence(s), norms, eps, scale, dout + head * Dim, share);
          work.run(bias ? bias + head * table : nullptr, dbias ? scratch + here * table : nullptr);
          work.template finish<Add, Norms>(width, sequence(s), norms, scale, dqkv + head * Dim,
                                           norm_sums + here * 4 * Dim);
        }
      item = next;
    }
  });
  const Real* one = nullptr;
  if (dbias) add_rows<Heads * table>(exec, attention_parts, scratch, Heads * table, one, dbias);
  if (!Norms) return;
  Real* const sums[] = {dnorms.q_weight, dnorms.q_bias, dnorms.k_weight, dnorms.k_bias};
  for (int i = 0; i < 4; ++i) add_rows<Dim>(exec, attention_parts * Heads, norm_sums + i * Dim, 4 * Dim, one, sums[i]);
}

}  // namespace detail

/// Gradient of normalise_heads of queries and keys, eps, followed by temporal_attention.
///   qkv: what was normalised; qkv, dqkv (another): (batch, Frames, positions, 3, Heads, Dim)
///   dout: (batch, queries, positions, Heads * Dim). queries = Frames; or 1, the last frame's: then its q rows are read
///   from, and their gradients written to, the first batch * positions tokens; no other token's dq is written.
///   bias, dbias: (Heads, Frames, Frames), or both null
/// Overwrites dqkv; adds to dnorms and dbias. scratch: attention_backward_scratch_size<Heads, Dim>(Frames).
template <int Frames, int Heads, int Dim, class Exec, class Real>
void temporal_attention_backward(const Exec& exec, int batch, int positions, int queries, const Real* qkv,
                                 const HeadNorms<const Real>& norms, double eps, const Real* bias, Real scale,
                                 const Real* dout, Real* dqkv, const HeadNorms<Real>& dnorms, Real* dbias,
                                 Real* scratch) {
  detail::attention_backward<Frames, Heads, Dim, false, true>(
      exec, batch * positions, queries, detail::along_time(Frames, queries, positions), qkv, norms, eps, bias, scale,
      dout, Real(1), dqkv, dnorms, dbias, scratch);
}

/// Gradient of normalise_heads of queries and keys, eps, followed by axial_attention: along the rows, then the columns.
///   qkv: what was normalised; qkv, dqkv (another): (samples, Rows, Columns, 3, Heads, Dim)
///   dout: (samples, Rows, Columns, Heads * Dim)
///   bias_x, dbias_x: (Heads, Columns, Columns), bias_y, dbias_y: (Heads, Rows, Rows), or all null
/// Overwrites dqkv; adds to dnorms, dbias_x and dbias_y.
/// scratch: attention_backward_scratch_size<Heads, Dim>(max(Rows, Columns)).
template <int Rows, int Columns, int Heads, int Dim, class Exec, class Real>
void axial_attention_backward(const Exec& exec, int samples, const Real* qkv, const HeadNorms<const Real>& norms,
                              double eps, const Real* bias_x, const Real* bias_y, Real scale, const Real* dout,
                              Real* dqkv, const HeadNorms<Real>& dnorms, Real* dbias_x, Real* dbias_y, Real* scratch) {
  detail::attention_backward<Columns, Heads, Dim, false, false>(
      exec, samples * Rows, Columns, detail::along_rows(Rows, Columns), qkv, norms, eps, bias_x, scale, dout, Real(.5),
      dqkv, dnorms, dbias_x, scratch);
  detail::attention_backward<Rows, Heads, Dim, true, true>(
      exec, samples * Columns, Rows, detail::along_columns(Rows, Columns), qkv, norms, eps, bias_y, scale, dout,
      Real(.5), dqkv, dnorms, dbias_y, scratch);
}

}  // namespace fieldstep::ops
