#pragma once
#include <fieldstep/ops/attention_backward.hpp>
#include <fieldstep/ops/layer_norm.hpp>  // mean_and_rstd

#include <Kokkos_MathematicalFunctions.hpp>

// attention_backward.hpp for any execution space, one thread a head of a part of the sequences: yardstick of the tests
// and benchmarks, and the device path.
namespace fieldstep::ops {

namespace detail {

/// One head of one sequence: adds the gradients by normalised queries, normalised keys and values to dx, dS to dbias.
///   x, dx: the head's first query channel of token 0
template <int Length, int Dim, class Real>
KOKKOS_FUNCTION void attend_backward_naive(const Real* x, std::ptrdiff_t width, int queries, const Sequence& at,
                                           const HeadNorms<const Real>& norms, double eps, const Real* bias, Real scale,
                                           const Real* dout, Real share, Real* dx, Real* dbias) {
  const auto key_at = [=](int n) { return (at.first + n * at.step) * 3 * width + width; };
  Kokkos::pair<Real, Real> of_key[Length];
  for (int n = 0; n < Length; ++n) of_key[n] = mean_and_rstd<Dim>(x + key_at(n), eps);
  const auto key = [&](int n, int c) {
    return (x[key_at(n) + c] - of_key[n].first) * of_key[n].second * norms.k_weight[c] + norms.k_bias[c];
  };
  for (int m = 0; m < queries; ++m) {
    const std::ptrdiff_t token = at.first_query + m * at.step, query_at = token * 3 * width;
    const int row = (Length - queries + m) * Length;
    const auto of_query = mean_and_rstd<Dim>(x + query_at, eps);
    const auto query = [&](int c) {
      return (x[query_at + c] - of_query.first) * of_query.second * norms.q_weight[c] + norms.q_bias[c];
    };
    const auto g = [&](int c) { return share * dout[token * width + c]; };
    Real p[Length], ds[Length], highest = 0, total = 0, along = 0;
    for (int n = 0; n < Length; ++n) {
      Real score = 0;
      ds[n] = 0;
      for (int c = 0; c < Dim; ++c) score += query(c) * key(n, c), ds[n] += g(c) * x[key_at(n) + width + c];
      p[n] = score * scale + (bias ? bias[row + n] : Real(0));
      highest = n == 0 ? p[0] : Kokkos::max(highest, p[n]);
    }
    for (int n = 0; n < Length; ++n) total += p[n] = Kokkos::exp(p[n] - highest);
    for (int n = 0; n < Length; ++n) p[n] /= total, along += p[n] * ds[n];
    for (int n = 0; n < Length; ++n) {
      ds[n] = p[n] * (ds[n] - along);
      if (dbias) dbias[row + n] += ds[n];
      for (int c = 0; c < Dim; ++c) {
        dx[query_at + c] += scale * ds[n] * key(n, c);
        dx[key_at(n) + c] += scale * ds[n] * query(c);
        dx[key_at(n) + width + c] += p[n] * g(c);
      }
    }
  }
}

/// dx = dL/dx from dx = dL/dy of a layer norm of Dim numbers; adds to the gradients of weight and bias, which lie side
/// by side.
template <int Dim, class Real>
KOKKOS_FUNCTION void head_norm_backward_naive(const Real* x, const Real* weight, double eps, Real* dx, Real* sums) {
  const auto of_x = mean_and_rstd<Dim>(x, eps);
  const auto xhat = [&](int c) { return (x[c] - of_x.first) * of_x.second; };
  Real total = 0, along = 0;
  for (int c = 0; c < Dim; ++c) {
    sums[c] += dx[c] * xhat(c), sums[Dim + c] += dx[c];
    total += dx[c] * weight[c], along += dx[c] * weight[c] * xhat(c);
  }
  for (int c = 0; c < Dim; ++c) dx[c] = (dx[c] * weight[c] - total / Dim - xhat(c) * along / Dim) * of_x.second;
}

/// As attention_backward.
template <int Length, int Heads, int Dim, bool Add, bool Norms, class Exec, class Real>
void attention_backward_naive(const Exec& exec, int count, int queries, const Sequences& sequence, const Real* qkv,
                              const HeadNorms<const Real>& norms, double eps, const Real* bias, Real scale,
                              const Real* dout, Real share, Real* dqkv, const HeadNorms<Real>& dnorms, Real* dbias,
                              Real* scratch) {
  constexpr int table = Length * Length;
  constexpr std::ptrdiff_t width = Heads * Dim;
  Real* norm_sums = scratch + attention_parts * Heads * table;
  Kokkos::parallel_for(
      Kokkos::RangePolicy<Exec>(exec, 0, attention_parts * Heads), KOKKOS_LAMBDA(int item) {
        const int part = item / Heads, head = item % Heads;
        const Real* x = qkv + head * Dim;
        Real *dx = dqkv + head * Dim, *bias_sums = scratch + item * table, *sums = norm_sums + item * 4 * Dim;
        for (int i = 0; i < table; ++i) bias_sums[i] = 0;
        for (int i = 0; i < 4 * Dim; ++i) sums[i] = 0;
        for (int s = part_begin(count, part); s < part_begin(count, part + 1); ++s) {
          const Sequence at = sequence(s);
          const auto query_at = [=](int m) { return (at.first_query + m * at.step) * 3 * width; };
          const auto key_at = [=](int n) { return (at.first + n * at.step) * 3 * width + width; };
          if (!Add)
            for (int c = 0; c < Dim; ++c) {
              for (int m = 0; m < queries; ++m) dx[query_at(m) + c] = 0;
              for (int n = 0; n < Length; ++n) dx[key_at(n) + c] = dx[key_at(n) + width + c] = 0;
            }
          attend_backward_naive<Length, Dim>(x, width, queries, at, norms, eps, bias ? bias + head * table : nullptr,
                                             scale, dout + head * Dim, share, dx, dbias ? bias_sums : nullptr);
          if (!Norms) continue;
          for (int m = 0; m < queries; ++m)
            head_norm_backward_naive<Dim>(x + query_at(m), norms.q_weight, eps, dx + query_at(m), sums);
          for (int n = 0; n < Length; ++n)
            head_norm_backward_naive<Dim>(x + key_at(n), norms.k_weight, eps, dx + key_at(n), sums + 2 * Dim);
        }
      });
  const Real* one = nullptr;
  if (dbias) add_rows_naive(exec, attention_parts, Heads * table, scratch, Heads * table, one, dbias);
  if (!Norms) return;
  Real* const to[] = {dnorms.q_weight, dnorms.q_bias, dnorms.k_weight, dnorms.k_bias};
  for (int i = 0; i < 4; ++i)
    add_rows_naive(exec, attention_parts * Heads, Dim, norm_sums + i * Dim, 4 * Dim, one, to[i]);
}

}  // namespace detail

/// As temporal_attention_backward.
template <int Frames, int Heads, int Dim, class Exec, class Real>
void temporal_attention_backward_naive(const Exec& exec, int batch, int positions, int queries, const Real* qkv,
                                       const HeadNorms<const Real>& norms, double eps, const Real* bias, Real scale,
                                       const Real* dout, Real* dqkv, const HeadNorms<Real>& dnorms, Real* dbias,
                                       Real* scratch) {
  detail::attention_backward_naive<Frames, Heads, Dim, false, true>(
      exec, batch * positions, queries, detail::along_time(Frames, queries, positions), qkv, norms, eps, bias, scale,
      dout, Real(1), dqkv, dnorms, dbias, scratch);
}

/// As axial_attention_backward.
template <int Rows, int Columns, int Heads, int Dim, class Exec, class Real>
void axial_attention_backward_naive(const Exec& exec, int samples, const Real* qkv, const HeadNorms<const Real>& norms,
                                    double eps, const Real* bias_x, const Real* bias_y, Real scale, const Real* dout,
                                    Real* dqkv, const HeadNorms<Real>& dnorms, Real* dbias_x, Real* dbias_y,
                                    Real* scratch) {
  detail::attention_backward_naive<Columns, Heads, Dim, false, false>(
      exec, samples * Rows, Columns, detail::along_rows(Rows, Columns), qkv, norms, eps, bias_x, scale, dout, Real(.5),
      dqkv, dnorms, dbias_x, scratch);
  detail::attention_backward_naive<Rows, Heads, Dim, true, true>(
      exec, samples * Columns, Rows, detail::along_columns(Rows, Columns), qkv, norms, eps, bias_y, scale, dout,
      Real(.5), dqkv, dnorms, dbias_y, scratch);
}

}  // namespace fieldstep::ops
