#pragma once
#include <fieldstep/ops/partial_sums.hpp>
#include <fieldstep/ops/window_attention.hpp>

#include <algorithm>
#include <cstddef>

// Gradient of window_attention.hpp. With qh = q/|q|, kh = k/|k|, Z = qh kh^T, A = scale Z + bias + mask, P =
// softmax(A):
//   dv = P^T dout;  dP = dout v^T;  dA = P (dP - rowsum(P dP));  dbias = sum over windows of dA;  dscale = sum(dA Z)
//   dqh = scale dA kh;  dkh = scale dA^T qh;  dq = (dqh - qh <qh, dqh>) / |q|, and so for k; below |q| = 1e-12, where
//   the norm is a constant, dq = dqh / 1e-12
// Padded tokens take part as keys, so their value, which all padded tokens share, has a gradient; their queries are
// dropped, and their keys are zero whatever the weights.
namespace fieldstep::ops {

/// Numbers of scratch that either version needs: sums of every window of every sample, joined in order.
template <int Rows, int Columns, int Window, int Heads, int Dim>
constexpr std::size_t window_attention_backward_scratch_size(int samples) {
  constexpr std::size_t table = (2 * Window - 1) * (2 * Window - 1);
  return static_cast<std::size_t>(samples) * WindowGrid<Rows, Columns, Window>::windows * Heads * (table + 1 + Dim);
}

namespace detail {

/// The gradient of one head of one window, in a thread's own memory. Probabilities are made anew, a tile of queries at
/// a time, and never leave L1.
template <int Rows, int Columns, int Window, int Dim, class Real>
class WindowHeadGradient {
  using Head = WindowHead<Rows, Columns, Window, Dim, Real>;
  static constexpr int N = Head::N, side = Head::side, L = Head::L, padded = Head::padded, tile = Head::tile;
  static constexpr int LD = Head::LD, vectors = Head::vectors;
  /// Rows of Dim channels of every token, vector by vector: one pass over the tokens is one stretch of memory.
  using Vectors = Real[vectors][N][LD];

 public:
  void enter(int window, int shift) { head_.enter(window, shift); }

  /// All gradients of a head. qkv, dqkv, dout: those of the sample at the head's first channel; dbias (side, side),
  /// dscale and dpad_value (Dim) are overwritten.
  void run(const Real* qkv, const Real* pad, std::ptrdiff_t width, Real scale, const Real* bias, const Real* dout,
           Real* dqkv, Real* dbias, Real* dscale, Real* dpad_value) {
    head_.load_head(qkv, pad, width, scale, bias);
    for (int n = 0; n < N; ++n) {
      const Real *key = head_.row_of(n) + width, inverse = Head::inverse_norm(key);
      for (int c = 0; c < vectors; ++c) {
        store<LD>(key_[c][n], load<LD>(key + c * LD) * inverse);
        store<LD>(dkey_[c][n], vec<Real, LD>{}), store<LD>(dvalue_[c][n], vec<Real, LD>{});
      }
      for (int c = 0; c < Dim; ++c) values_(n, c) = head_.values(n)[c];
    }
    std::fill_n(dbias_, side * side, Real(0));
    *dscale = 0;
    for (int t = 0; t < Head::tiles; ++t) add_tile(t, width, scale, dout, dqkv, dscale);

    std::fill_n(dpad_value, Dim, Real(0));
    for (int n = 0; n < N; ++n) {
      if (const int token = head_.token(n); token >= 0) {
        Real* to = dqkv + token * 3 * width + width;
        const auto dkey = [&](int c) { return load<LD>(dkey_[c][n]); };
        through_norm(head_.row_of(n) + width, dkey, 1 / Head::log2_e, to);
        for (int c = 0; c < vectors; ++c) store<LD>(to + width + c * LD, load<LD>(dvalue_[c][n]));
      } else {
        for (int c = 0; c < Dim; ++c) dpad_value[c] += dvalue_[c / LD][n][c % LD];
      }
    }
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x) dbias[y * side + x] = dbias_[y * side + side - 1 - x];
  }

 private:
  /// The queries of tile t: their own gradient, and what they add to the others.
  void add_tile(int t, std::ptrdiff_t width, Real scale, const Real* dout, Real* dqkv, Real* dscale) {
    head_.weigh(t);
    const auto token_of = [&](int m) { return t * tile + m < N ? head_.token(Head::query_at(t * tile + m)) : -1; };
    for (int m = 0; m < tile; ++m) {
      const int token = token_of(m);
      if (token < 0)
        std::fill_n(dout_[m], Dim, Real(0));  // no query, or one whose result was dropped: all it adds is zero
      else
        std::copy_n(dout + token * width, Dim, dout_[m]);
    }
    multiply_rows<false>(dout_, values_, ds_);
    for (int m = 0; m < tile; ++m) scores_backward(Head::query_at(t * tile + m), m);
    for (int c = 0; c < vectors; ++c) add_gradients(c);
    for (int m = 0; m < tile; ++m) {
      const int token = token_of(m);
      if (token < 0) continue;
      const auto dq = [&](int c) { return load<LD>(dquery_[m] + c * LD); };
      *dscale += through_norm(head_.row_of(Head::query_at(t * tile + m)), dq, scale, dqkv + token * 3 * width);
    }
  }

  /// ds_[m], dP on entry, dA on return, which is added to dbias; dout_[m] is divided by what the weights are to be
  /// divided by.
  void scores_backward(int query, int m) {
    constexpr int LW = lanes_for<Real>(Window);
    const Real *weights = head_.weights()[m], inverse = 1 / head_.total(m);
    Real* ds = ds_[m];
    vec<Real, L> along{};
    for (int n = 0; n < padded; n += L) along += load<L>(weights + n) * load<L>(ds + n);
    const Real mean = sum<Real, L>(along) * inverse;
    for (int n = 0; n < padded; n += L) store<L>(ds + n, load<L>(weights + n) * inverse * (load<L>(ds + n) - mean));
    for (int c = 0; c < Dim; c += LD) store<LD>(dout_[m] + c, load<LD>(dout_[m] + c) * inverse);
    Real* table = dbias_ + Head::bias_place(query);
    for (int y = 0; y < Window; ++y, table -= side, ds += Window)
      for (int x = 0; x < Window; x += LW) store<LW>(table + x, load<LW>(table + x) + load<LW>(ds + x));
  }

  /// dv += P^T dout, dkh += dA^T qh, dqh = dA kh for a vector of channels of a tile of queries, the last two but for
  /// factors.
  void add_gradients(int c) {
    const auto& weights = head_.weights();
    vec<Real, LD> q[tile], dout[tile], dq[tile] = {};
    for (int m = 0; m < tile; ++m) q[m] = load<LD>(head_.query(m) + c * LD), dout[m] = load<LD>(dout_[m] + c * LD);
    for (int n = 0; n < N; ++n) {
      const vec<Real, LD> k = load<LD>(key_[c][n]);
      vec<Real, LD> dk = load<LD>(dkey_[c][n]), dv = load<LD>(dvalue_[c][n]);
#pragma GCC unroll 8
      for (int m = 0; m < tile; ++m) dk += ds_[m][n] * q[m], dv += weights[m][n] * dout[m], dq[m] += ds_[m][n] * k;
      store<LD>(dkey_[c][n], dk), store<LD>(dvalue_[c][n], dv);
    }
    for (int m = 0; m < tile; ++m) store<LD>(dquery_[m] + c * LD, dq[m]);
  }

  /// to = dL/dx where factor * g(c) are the vectors of dL/d(x/|x|). Returns <x/|x|, g>.
  template <class Vector>
  static Real through_norm(const Real* x, const Vector& g, Real factor, Real* to) {
    const Real inverse = Head::inverse_norm(x);
    vec<Real, LD> products{};
    for (int c = 0; c < vectors; ++c) products += load<LD>(x + c * LD) * g(c);
    const Real along = sum<Real, LD>(products) * inverse;
    const Real removed = inverse < Real(1e12) ? along * inverse : Real(0);
    for (int c = 0; c < vectors; ++c)
      store<LD>(to + c * LD, (g(c) - load<LD>(x + c * LD) * removed) * (factor * inverse));
    return along;
  }

  Head head_;
  alignas(64) TurnedRows<Dim, padded, Real> values_;
  alignas(64) Vectors key_;  // normalised
  alignas(64) Vectors dkey_;
  alignas(64) Vectors dvalue_;
  alignas(64) Real dout_[tile][Dim];
  alignas(64) Real dquery_[tile][Dim];
  alignas(64) Real ds_[tile][padded];
  Real dbias_[side * side];  // rows run backwards, as those of the head's table
};

/// Joins what every window of every sample left in scratch.
template <int Heads, int Dim, int Table, class Exec, class Real>
void add_window_sums(const Exec& exec, int items, const Real* scratch, Real* dpad, Real* dscale, Real* dbias) {
  const Real *one = nullptr, *scales = scratch + std::ptrdiff_t{items} * Heads * Table, *pads = scales + items * Heads;
  add_rows<Heads * Table>(exec, items, scratch, Heads * Table, one, dbias);
  add_rows<Heads>(exec, items, scales, Heads, one, dscale);
  add_rows<Heads * Dim>(exec, items, pads, Heads * Dim, one, dpad + 2 * Heads * Dim);
}

}  // namespace detail

/// Gradient of window_attention by dout (samples, Rows, Columns, Heads * Dim).
///   Overwrites dqkv (samples, Rows, Columns, 3, Heads, Dim); adds to dpad (3, Heads, Dim), of which only values have a
///   gradient, dscale (Heads) and dbias (Heads, 2 Window - 1, 2 Window - 1). The rest as in window_attention.
/// scratch: window_attention_backward_scratch_size. A work item is one head of one window.
template <int Rows, int Columns, int Window, int Heads, int Dim, class Exec, class Real>
void window_attention_backward(const Exec& exec, int samples, int shift, const Real* qkv, const Real* pad,
                               const Real* scale, const Real* bias, const Real* dout, Real* dqkv, Real* dpad,
                               Real* dscale, Real* dbias, Real* scratch) {
  using Windows = WindowGrid<Rows, Columns, Window>;
  constexpr int table = (2 * Window - 1) * (2 * Window - 1);
  constexpr std::ptrdiff_t width = Heads * Dim, tokens = std::ptrdiff_t{Rows} * Columns;
  const int items = samples * Windows::windows;
  Real *scales = scratch + std::ptrdiff_t{items} * Heads * table, *pads = scales + items * Heads;
  for_ranges(exec, items * Heads, [=](int begin, int end) {
    detail::WindowHeadGradient<Rows, Columns, Window, Dim, Real> work;
    for (int item = begin; item < end; ++item) {
      const int head = item % Heads, window = item / Heads % Windows::windows;
      const std::ptrdiff_t first = item / Heads / Windows::windows * tokens;  // of the sample
      if (item == begin || head == 0) work.enter(window, shift);
      work.run(qkv + first * 3 * width + head * Dim, pad + head * Dim, width, scale[head], bias + head * table,
               dout + first * width + head * Dim, dqkv + first * 3 * width + head * Dim,
               scratch + std::ptrdiff_t{item} * table, scales + item, pads + std::ptrdiff_t{item} * Dim);
    }
  });
  detail::add_window_sums<Heads, Dim, table>(exec, items, scratch, dpad, dscale, dbias);
}

/// The same, one thread a head of a window, for any execution space: yardstick of the tests and benchmarks, the device
/// path, and training with dropout. keep: as window_attention_naive's.
template <int Rows, int Columns, int Window, int Heads, int Dim, class Exec, class Real>
void window_attention_backward_naive(const Exec& exec, int samples, int shift, const Real* qkv, const Real* pad,
                                     const Real* scale, const Real* bias, const Real* dout, Real* dqkv, Real* dpad,
                                     Real* dscale, Real* dbias, Real* scratch, const Real* keep = nullptr) {
  using Head = detail::WindowHeadInPlace<Rows, Columns, Window, Heads, Dim, Real>;
  constexpr int N = Head::N, table = Head::table;
  const int items = samples * Head::Windows::windows;
  Real *scales = scratch + std::ptrdiff_t{items} * Heads * table, *pads = scales + items * Heads;
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {items, Heads}), KOKKOS_LAMBDA(int item, int head) {
        const Head at{qkv, pad, scale, bias, shift, item, head};
        const std::ptrdiff_t sums = std::ptrdiff_t{item} * Heads + head;
        Real *table_sums = scratch + sums * table, *pad_value = pads + sums * Dim;
        const auto gradient = [=](int n, int p) { return dqkv + (at.row(n) * 3 + p) * Head::width + head * Dim; };
        for (int i = 0; i < table; ++i) table_sums[i] = 0;
        for (int c = 0; c < Dim; ++c) pad_value[c] = 0;
        scales[sums] = 0;
        for (int n = 0; n < N; ++n)
          for (int p = 0; p < 3 && !at.padding(n); ++p)
            for (int c = 0; c < Dim; ++c) gradient(n, p)[c] = 0;
        for (int query = 0; query < N; ++query) {
          if (at.padding(query)) continue;
          Real cosine[N], probability[N], dp[N], mean = 0;
          at.weigh(query, cosine, probability);
          const Real* g = dout + at.row(query) * Head::width + head * Dim;
          for (int n = 0; n < N; ++n) {
            const Real kept = keep ? keep[(sums * N + query) * N + n] : Real(1);
            dp[n] = Head::dot(g, at.part(n, 2)) * kept;
            mean += probability[n] * dp[n];
            Real* dv = at.padding(n) ? pad_value : gradient(n, 2);
            for (int c = 0; c < Dim; ++c) dv[c] += probability[n] * kept * g[c];
          }
          const Real *q = at.part(query, 0), q_inverse = Head::inverse_norm(q);
          for (int n = 0; n < N; ++n) {
            const Real *k = at.part(n, 1), k_inverse = Head::inverse_norm(k);
            const Real da = probability[n] * (dp[n] - mean), z = cosine[n];
            table_sums[bias_row<Window>(query, n)] += da;
            scales[sums] += da * z;
            for (int c = 0; c < Dim; ++c) {  // d(qh kh)/dq = (kh - z qh) / |q|, without z where the norm is a constant
              const Real qh = q[c] * q_inverse, kh = k[c] * k_inverse, dz = da * scale[head];
              gradient(query, 0)[c] += dz * q_inverse * (kh - (q_inverse < Real(1e12) ? z * qh : Real(0)));
              if (!at.padding(n))
                gradient(n, 1)[c] += dz * k_inverse * (qh - (k_inverse < Real(1e12) ? z * kh : Real(0)));
            }
          }
        }
      });
  detail::add_window_sums<Heads, Dim, table>(exec, items, scratch, dpad, dscale, dbias);
}

}  // namespace fieldstep::ops
