#pragma once
#include <fieldstep/ops/layer_norm.hpp>  // centre
#include <fieldstep/ops/vec.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>

// The work of attention_backward.hpp for one head of one sequence, on the host.
namespace fieldstep::ops {

/// Weights (R = const Real) of the layer norms of queries and keys, Dim numbers each, or their gradients (R = Real).
template <class R>
struct HeadNorms {
  R *q_weight, *q_bias, *k_weight, *k_bias;
};

namespace detail {

/// Where a sequence lies: token n of its keys and values is first + n * step, its m-th query first_query + m * step.
struct Sequence {
  std::ptrdiff_t first, first_query, step;
};

/// One head of one sequence, in a thread's own memory. The last `queries` tokens of the sequence have queries: all, or
/// the last one. Keys and values are kept transposed, too: a vector then holds one channel of several of them.
template <int Length, int Dim, class Real>
class HeadGradient {
  static constexpr int L = lanes_for<Real>(Dim), vectors = Dim / L;
  static constexpr int W = std::min(L, static_cast<int>(std::bit_ceil(static_cast<unsigned>(Length))));
  static constexpr int padded = (Length + W - 1) / W * W;                   // keys
  static constexpr int tile = 4, rows = (Length + tile - 1) / tile * tile;  // queries, some computed together

 public:
  explicit HeadGradient(int queries) : queries_(queries) {
    for (int m = queries; m < rows; ++m) {  // no query: its gradient is zero
      std::fill_n(query_[m], Dim, Real(0));
      std::fill_n(dout_[m], Dim, Real(0));
    }
  }

  /// x: the head's first query channel of the projection's token 0; `width` numbers on are its keys, then its values.
  void load(const Real* x, std::ptrdiff_t width, const Sequence& at, const HeadNorms<const Real>& norms, double eps,
            Real scale, const Real* dout, Real share) {
    const auto key = [=](int n) { return x + (at.first + n * at.step) * 3 * width + width; };
    for (int n = 0; n < Length; ++n) {
      key_norm_.load(n, key(n), eps);
      key_norm_.result(n, norms.k_weight, norms.k_bias, Real(1), key_[n]);
      std::fill_n(dkey_[n], Dim, Real(0));
      std::fill_n(dvalue_[n], Dim, Real(0));
    }
    turn([this](int n) { return key_[n]; }, keys_t_);
    turn([=](int n) { return key(n) + width; }, values_t_);
    for (int m = 0; m < queries_; ++m) {
      const std::ptrdiff_t row = at.first_query + m * at.step;
      query_norm_.load(m, x + row * 3 * width, eps);
      query_norm_.result(m, norms.q_weight, norms.q_bias, scale, query_[m]);
      for (int c = 0; c < Dim; c += L) store<L>(dout_[m] + c, ops::load<L>(dout + row * width + c) * share);
    }
  }

  /// Gradients by the normalised queries (divided by scale), the keys and the values. bias, dbias: the head's, or null.
  void run(const Real* bias, Real* dbias) {
    const int first = Length - queries_;
    for (int m = 0; m < queries_; m += tile) {
      for (int i = 0; i < tile; ++i) {
        std::fill(p_[i], p_[i] + Length, Real(0));
        if (bias) std::copy_n(bias + std::min(first + m + i, Length - 1) * Length, Length, p_[i]);
        std::fill(p_[i] + Length, p_[i] + padded, Real(-1e30));
      }
      for (int n = 0; n < padded; n += W) add_products(m, n);
      for (int i = 0; i < tile; ++i) through_softmax(p_[i], ds_[i]);
      if (dbias)
        for (int i = 0; i < tile && m + i < queries_; ++i)
          for (int n = 0; n < Length; ++n) dbias[(first + m + i) * Length + n] += ds_[i][n];
      for (int c = 0; c < Dim; c += L) add_gradients(m, c);
    }
  }

  /// Writes them to dx, or adds them where Add; Norms: takes queries and keys through their norms on the way.
  /// norm_sums: (4, Dim), what is added to the gradients of the norms.
  template <bool Add, bool Norms>
  void finish(std::ptrdiff_t width, const Sequence& at, const HeadNorms<const Real>& norms, Real scale, Real* dx,
              Real* norm_sums) const {
    const auto put = [](const Real* gradient, Real factor, Real* to, const auto& change) {
      vec<Real, L> g[vectors];
      for (int c = 0; c < vectors; ++c) {
        g[c] = ops::load<L>(gradient + c * L) * factor;
        if (Add) g[c] += ops::load<L>(to + c * L);
      }
      change(g);
      for (int c = 0; c < vectors; ++c) store<L>(to + c * L, g[c]);
    };
    for (int m = 0; m < queries_; ++m)
      put(dquery_[m], scale, dx + (at.first_query + m * at.step) * 3 * width, [&](auto& g) {
        if (Norms) query_norm_.through(m, norms.q_weight, g, norm_sums);
      });
    for (int n = 0; n < Length; ++n) {
      Real* to = dx + (at.first + n * at.step) * 3 * width + width;
      put(dkey_[n], Real(1), to, [&](auto& g) {
        if (Norms) key_norm_.through(n, norms.k_weight, g, norm_sums + 2 * Dim);
      });
      put(dvalue_[n], Real(1), to + width, [](auto&) {});
    }
  }

 private:
  /// The layer norm of some rows.
  struct Norm {
    alignas(64) Real xhat[Length][Dim];
    Real rstd[Length];

    void load(int n, const Real* x, double eps) {
      vec<Real, L> v[vectors];
      rstd[n] = centre<Dim, L>(x, eps, v);
      for (int c = 0; c < vectors; ++c) store<L>(xhat[n] + c * L, v[c] * rstd[n]);
    }
    void result(int n, const Real* weight, const Real* bias, Real factor, Real* y) const {
      for (int c = 0; c < Dim; c += L)
        store<L>(y + c, (ops::load<L>(xhat[n] + c) * ops::load<L>(weight + c) + ops::load<L>(bias + c)) * factor);
    }
    /// g = dL/dx from g = dL/dy; adds to the gradients of weight and bias, which lie side by side.
    void through(int n, const Real* weight, vec<Real, L> (&g)[vectors], Real* sums) const {
      vec<Real, L> total{}, along{};
      for (int c = 0; c < vectors; ++c) {
        const vec<Real, L> x = ops::load<L>(xhat[n] + c * L);
        store<L>(sums + c * L, ops::load<L>(sums + c * L) + g[c] * x);
        store<L>(sums + Dim + c * L, ops::load<L>(sums + Dim + c * L) + g[c]);
        g[c] *= ops::load<L>(weight + c * L);
        total += g[c], along += g[c] * x;
      }
      const Real mean = sum<Real, L>(total) / Dim, slope = sum<Real, L>(along) / Dim;
      for (int c = 0; c < vectors; ++c) g[c] = (g[c] - mean - ops::load<L>(xhat[n] + c * L) * slope) * rstd[n];
    }
  };

  /// to[c][n] = row(n)[c], zero for n >= Length.
  static void turn(const auto& row, Real (&to)[Dim][padded]) {
    for (int n = 0; n < padded; n += W)
      for (int c = 0; c < Dim; c += W) {
        vec<Real, W> block[W];
        for (int i = 0; i < W; ++i) block[i] = n + i < Length ? ops::load<W>(row(n + i) + c) : vec<Real, W>{};
        transpose<Real, W>(block);
        for (int i = 0; i < W; ++i) store<W>(to[c + i] + n, block[i]);
      }
  }

  /// p += q k^T and ds = dout v^T for a tile of queries and W keys.
  void add_products(int m, int n) {
    vec<Real, W> s[tile], d[tile] = {};
    for (int i = 0; i < tile; ++i) s[i] = ops::load<W>(p_[i] + n);
    for (int c = 0; c < Dim; ++c) {
      const vec<Real, W> k = ops::load<W>(keys_t_[c] + n), v = ops::load<W>(values_t_[c] + n);
#pragma GCC unroll 4
      for (int i = 0; i < tile; ++i) s[i] += query_[m + i][c] * k, d[i] += dout_[m + i][c] * v;
    }
    for (int i = 0; i < tile; ++i) store<W>(p_[i] + n, s[i]), store<W>(ds_[i] + n, d[i]);
  }

  /// p: scores -> probabilities; ds: dP -> dS.
  static void through_softmax(Real* p, Real* ds) {
    Real highest = p[0];
    for (int n = 1; n < Length; ++n) highest = std::max(highest, p[n]);
    vec<Real, W> total{}, along{};
    for (int n = 0; n < padded; n += W) {
      const vec<Real, W> e = exp<Real, W>(ops::load<W>(p + n) - highest);
      store<W>(p + n, e);
      total += e, along += e * ops::load<W>(ds + n);
    }
    // The padding's exp(-87) is below the rounding of a sum that holds exp(0).
    const Real inverse = 1 / sum<Real, W>(total), mean = sum<Real, W>(along) * inverse;
    for (int n = 0; n < padded; n += W) {
      const vec<Real, W> probability = ops::load<W>(p + n) * inverse;
      store<W>(p + n, probability);
      store<W>(ds + n, probability * (ops::load<W>(ds + n) - mean));
    }
  }

  /// dv += P^T dout, dk += dS^T q, dq = dS k for a tile of queries and L channels.
  void add_gradients(int m, int c) {
    vec<Real, L> q[tile], dout[tile], dq[tile] = {};
    for (int i = 0; i < tile; ++i) q[i] = ops::load<L>(query_[m + i] + c), dout[i] = ops::load<L>(dout_[m + i] + c);
    for (int n = 0; n < Length; ++n) {
      const vec<Real, L> k = ops::load<L>(key_[n] + c);
      vec<Real, L> dk = ops::load<L>(dkey_[n] + c), dv = ops::load<L>(dvalue_[n] + c);
#pragma GCC unroll 4
      for (int i = 0; i < tile; ++i) dk += ds_[i][n] * q[i], dv += p_[i][n] * dout[i], dq[i] += ds_[i][n] * k;
      store<L>(dkey_[n] + c, dk), store<L>(dvalue_[n] + c, dv);
    }
    for (int i = 0; i < tile; ++i) store<L>(dquery_[m + i] + c, dq[i]);
  }

  int queries_;
  alignas(64) Real keys_t_[Dim][padded], values_t_[Dim][padded];
  Norm key_norm_, query_norm_;
  alignas(64) Real key_[Length][Dim], query_[rows][Dim], dout_[rows][Dim];
  alignas(64) Real dkey_[Length][Dim], dvalue_[Length][Dim], dquery_[rows][Dim];
  alignas(64) Real p_[tile][padded], ds_[tile][padded];
};

}  // namespace detail

}  // namespace fieldstep::ops
