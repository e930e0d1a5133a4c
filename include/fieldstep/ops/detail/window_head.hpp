#pragma once
#include <fieldstep/ops/vec.hpp>
#include <fieldstep/ops/window_grid.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

// What window attention and its gradient share on the host.
namespace fieldstep::ops::detail {

/// Vectors of a row of `count` whose sums stay in registers.
constexpr int together(int count) { return count % 3 == 0 ? 3 : count % 2 == 0 ? 2 : 1; }

/// Rows of Dim channels of Count tokens turned over: blocks of a few vectors of tokens, channel by channel.
template <int Dim, int Count, class Real>
struct TurnedRows {
  static constexpr int width = together(Count / lanes<Real>) * lanes<Real>;
  Real blocks[Count / width][Dim][width] = {};
  Real& operator()(int n, int c) { return blocks[n / width][c][n % width]; }
};

/// sums[m][n] (+)= rows[m] . columns[n]
template <bool Add, int Tile, int Dim, int Count, class Real>
void multiply_rows(const Real (&rows)[Tile][Dim], const TurnedRows<Dim, Count, Real>& columns,
                   Real (&sums)[Tile][Count]) {
  constexpr int L = lanes<Real>, width = TurnedRows<Dim, Count, Real>::width, J = width / L;
  for (int b = 0; b < Count / width; ++b) {
    vec<Real, L> acc[Tile][J] = {};
    if constexpr (Add) {
#pragma GCC unroll 8
      for (int m = 0; m < Tile; ++m)
        for (int j = 0; j < J; ++j) acc[m][j] = load<L>(sums[m] + b * width + j * L);
    }
    for (int c = 0; c < Dim; ++c) {
      vec<Real, L> k[J];
      for (int j = 0; j < J; ++j) k[j] = load<L>(columns.blocks[b][c] + j * L);
#pragma GCC unroll 8
      for (int m = 0; m < Tile; ++m)
        for (int j = 0; j < J; ++j) acc[m][j] = multiply_add<Real, L>(broadcast<L>(rows[m][c]), k[j], acc[m][j]);
    }
#pragma GCC unroll 8
    for (int m = 0; m < Tile; ++m)
      for (int j = 0; j < J; ++j) store<L>(sums[m] + b * width + j * L, acc[m][j]);
  }
}

/// One head of one window, in a thread's own memory: keys normalised and transposed, so that a vector holds one channel
/// of several keys; scores of a tile of queries that never leave L1. Exponents are kept in base 2.
template <int Rows, int Columns, int Window, int Dim, class Real>
class WindowHead {
  using Windows = WindowGrid<Rows, Columns, Window>;

 public:
  static constexpr int N = Windows::length, side = 2 * Window - 1;
  static constexpr int L = lanes<Real>, padded = (N + L - 1) / L * L;
  static constexpr int LD = lanes_for<Real>(Dim), vectors = Dim / LD;  ///< of a row of Dim channels
  static constexpr int tile = L * sizeof(Real) == 64 ? 8 : 4;          ///< queries computed together
  static constexpr int tiles = (N + tile - 1) / tile;
  static constexpr Real log2_e = Real(1.4426950408889634074);

  /// The i-th query, column by column: queries of a column, one after another, share rows of the bias table. The last
  /// is repeated to fill a tile.
  static constexpr int query_at(int i) {
    i = std::min(i, N - 1);
    return i % Window * Window + i / Window;
  }

  /// Which tokens the window holds.
  void enter(int window, int shift) {
    masked_ = false;
    for (int n = 0; n < N; ++n) {
      const auto place = Windows::place(window, n, shift);
      token_[n] = place.token();
      region_[n] = static_cast<Real>(place.region);
      masked_ = masked_ || place.region != Windows::place(window, 0, shift).region;
    }
  }
  /// The n-th token, negative for padding.
  int token(int n) const { return token_[n]; }

  /// Loads a head: qkv is that of the sample, pad that of a padded token, both at the head's first query channel;
  /// `width` numbers on are its keys, then its values. bias: the head's table.
  void load_head(const Real* qkv, const Real* pad, std::ptrdiff_t width, Real scale, const Real* bias) {
    qkv_ = qkv, pad_ = pad, token_stride_ = 3 * width, scale_ = scale * log2_e;
    for (int n = 0; n < N; ++n) {
      const Real* row = row_of(n);
      const Real inverse = inverse_norm(row + width);
      for (int c = 0; c < Dim; ++c) keys_(n, c) = row[width + c] * inverse;
      for (int c = 0; c < vectors; ++c) store<LD>(values_[n] + c * LD, load<LD>(row + 2 * width + c * LD));
    }
    for (int y = 0; y < side; ++y)  // a query's row of keys, left to right, is then a piece of the table
      for (int x = 0; x < side; ++x) bias_[y * side + side - 1 - x] = bias[y * side + x] * log2_e;
  }
  /// Query, key and value channels of the n-th token, width apart.
  const Real* row_of(int n) const { return token_[n] < 0 ? pad_ : qkv_ + token_[n] * token_stride_; }
  /// The n-th token's values.
  const Real* values(int n) const { return values_[n]; }

  /// Weighs the keys for the queries of tile t: the m-th row of weights() is the softmax times total(m).
  void weigh(int t) {
    for (int m = 0; m < tile; ++m) {
      const int query = query_at(t * tile + m);
      const Real* q = row_of(query);
      const Real factor = scale_ * inverse_norm(q);
      for (int c = 0; c < vectors; ++c) store<LD>(query_[m] + c * LD, load<LD>(q + c * LD) * factor);
      start_scores(query, score_[m]);
    }
    multiply_rows<true>(query_, keys_, score_);
    for (int m = 0; m < tile; ++m) total_[m] = exponentials(score_[m]);
  }
  Real (&weights())[tile][padded] { return score_; }
  Real total(int m) const { return total_[m]; }
  /// The m-th query, normalised and times scale * log2 e.
  const Real* query(int m) const { return query_[m]; }

  /// Attention of the queries of tile t to out, that of the sample at the head's first channel.
  void attend(int t, Real* out, std::ptrdiff_t width) {
    weigh(t);
    for (int c = 0; c < vectors; c += chunk) {
      vec<Real, LD> sums[tile][chunk] = {};
      for (int k = 0; k < N; ++k) {
        vec<Real, LD> v[chunk];
        for (int j = 0; j < chunk; ++j) v[j] = load<LD>(values_[k] + (c + j) * LD);
#pragma GCC unroll 8
        for (int m = 0; m < tile; ++m)
          for (int j = 0; j < chunk; ++j) sums[m][j] += score_[m][k] * v[j];
      }
      for (int m = 0; m < tile && t * tile + m < N; ++m) {
        const int token = token_[query_at(t * tile + m)];
        if (token < 0) continue;
        for (int j = 0; j < chunk; ++j) store<LD>(out + token * width + (c + j) * LD, sums[m][j] / total_[m]);
      }
    }
  }

  static Real inverse_norm(const Real* v) {
    vec<Real, LD> squares{};
    for (int c = 0; c < vectors; ++c) squares += load<LD>(v + c * LD) * load<LD>(v + c * LD);
    return 1 / std::max(std::sqrt(sum<Real, LD>(squares)), Real(1e-12));
  }
  /// Where the biases of a query's keys lie in a table whose rows run backwards: the keys of row y of the window are
  /// Window numbers from there - y * side on.
  static constexpr int bias_place(int query) {
    return (query / Window + Window - 1) * side + Window - 1 - query % Window;
  }

 private:
  static constexpr int chunk = together(vectors);

  /// What the products are added to: bias and mask.
  void start_scores(int query, Real* score) const {
    const Real* table = bias_ + bias_place(query);
    for (int y = 0; y < Window; ++y) std::memcpy(score + y * Window, table - y * side, sizeof(Real) * Window);
    for (int n = N; n < padded; ++n) score[n] = Real(-1e30);
    if (!masked_) return;
    constexpr Real mask = Real(window_mask) * log2_e;
    const Real region = region_[query];
    for (int n = 0; n < N; ++n) score[n] += region_[n] == region ? Real(0) : mask;
  }

  /// score = 2^(score - highest); their sum.
  static Real exponentials(Real* score) {
    vec<Real, L> highest = load<L>(score), total{};
    for (int n = L; n < padded; n += L) highest = max<Real, L>(highest, load<L>(score + n));
    Real most = highest[0];
    for (int l = 1; l < L; ++l) most = std::max(most, highest[l]);
    for (int n = 0; n < padded; n += L) {
      const vec<Real, L> p = exp2_negative<Real, L>(load<L>(score + n) - most);
      store<L>(score + n, p);
      total += p;
    }
    return sum<Real, L>(total);
  }

  alignas(64) TurnedRows<Dim, padded, Real> keys_;
  alignas(64) Real values_[N][Dim];
  alignas(64) Real score_[tile][padded];
  alignas(64) Real query_[tile][Dim];
  Real total_[tile];
  Real bias_[side * side];
  Real region_[N];
  int token_[N];
  bool masked_ = false;
  const Real *qkv_ = nullptr, *pad_ = nullptr;
  std::ptrdiff_t token_stride_ = 0;
  Real scale_ = 1;
};

}  // namespace fieldstep::ops::detail
