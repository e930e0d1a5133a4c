#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/vec.hpp>

#include <Kokkos_MathematicalFunctions.hpp>
#include <algorithm>
#include <cstddef>

// Cosine attention within windows of a token grid (Swin V2). Windows, their cyclic shift, the padding of the grid to
// whole windows and the mask are arithmetic on indices: no pass moves a token.
namespace fieldstep::ops {

/// Where the tokens of a window lie: a grid of Rows x Columns tokens, padded below and to the right to whole windows of
/// Window x Window, rolled by -shift along both axes.
/// Source: Liu et al. 2021, arXiv:2103.14030, section 3.2; transformers' Swinv2Layer.
template <int Rows, int Columns, int Window>
struct WindowGrid {
  static_assert(Window > 1, "WindowGrid: a window of one token has no distances");
  static constexpr int down = (Rows + Window - 1) / Window, across = (Columns + Window - 1) / Window;
  static constexpr int windows = down * across, length = Window * Window;

  /// Place of token `n` of window `w` on the padded grid before the roll, and the region that the mask compares: tokens
  /// of a window that the roll brought together from opposite sides of the grid do not see each other.
  struct Place {
    int row, column, region;
    /// Index on the grid, negative for padding.
    KOKKOS_FUNCTION constexpr int token() const { return row < Rows && column < Columns ? row * Columns + column : -1; }
  };
  KOKKOS_FUNCTION static constexpr Place place(int w, int n, int shift) {
    const int y = w / across * Window + n / Window, x = w % across * Window + n % Window;
    const auto label = [=](int i, int extent) {
      return shift == 0 || i < extent - Window ? 0 : i < extent - shift ? 1 : 2;
    };
    return {(y + shift) % (down * Window), (x + shift) % (across * Window),
            3 * label(y, down * Window) + label(x, across * Window)};
  }
};

/// Added to the score of a query and a key of different regions. The original adds -100 twice.
inline constexpr double window_mask = -200;

/// Row of the position bias table: offset query - key along y and x, each from 1 - Window to Window - 1.
template <int Window>
KOKKOS_FUNCTION constexpr int bias_row(int query, int key) {
  return (query / Window - key / Window + Window - 1) * (2 * Window - 1) + query % Window - key % Window + Window - 1;
}

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
  using Windows = WindowGrid<Rows, Columns, Window>;
  constexpr int N = Windows::length, table = (2 * Window - 1) * (2 * Window - 1);
  constexpr std::ptrdiff_t width = Heads * Dim;
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<3>>(exec, {0, 0, 0}, {samples * Windows::windows, Heads, N}),
      KOKKOS_LAMBDA(int item, int head, int query) {
        const int sample = item / Windows::windows, window = item % Windows::windows;
        const auto part = [=](int n, int p) {  // query, key or value of token n of the window
          const int token = Windows::place(window, n, shift).token();
          const Real* row =
              token < 0 ? pad : qkv + (static_cast<std::ptrdiff_t>(sample) * Rows * Columns + token) * 3 * width;
          return row + p * width + head * Dim;
        };
        const auto inverse_norm = [](const Real* v) {
          Real squares = 0;
          for (int c = 0; c < Dim; ++c) squares += v[c] * v[c];
          return 1 / Kokkos::max(Kokkos::sqrt(squares), Real(1e-12));
        };
        const auto here = Windows::place(window, query, shift);
        const Real* q = part(query, 0);
        const Real q_scale = scale[head] * inverse_norm(q);
        Real score[N], highest = 0, total = 0;
        for (int n = 0; n < N; ++n) {
          const Real* k = part(n, 1);
          Real dot = 0;
          for (int c = 0; c < Dim; ++c) dot += q[c] * k[c];
          score[n] = dot * q_scale * inverse_norm(k) + bias[head * table + bias_row<Window>(query, n)];
          if (Windows::place(window, n, shift).region != here.region) score[n] += Real(window_mask);
          highest = n == 0 ? score[0] : Kokkos::max(highest, score[n]);
        }
        for (int n = 0; n < N; ++n) total += score[n] = Kokkos::exp(score[n] - highest);
        const std::ptrdiff_t row = ((static_cast<std::ptrdiff_t>(item) * Heads + head) * N + query) * N;
        for (int n = 0; n < N; ++n) {
          score[n] /= total;
          if (keep) score[n] *= keep[row + n];
          if (probabilities) probabilities[row + n] = score[n];
        }
        if (here.token() < 0) return;
        Real* to = out + (static_cast<std::ptrdiff_t>(sample) * Rows * Columns + here.token()) * width + head * Dim;
        for (int c = 0; c < Dim; ++c) to[c] = 0;
        for (int n = 0; n < N; ++n)
          for (int c = 0; c < Dim; ++c) to[c] += score[n] * part(n, 2)[c];
      });
}

namespace detail {

/// One head of one window, in a thread's own memory: keys normalised and transposed, so that a vector holds one channel
/// of several keys; scores of a tile of queries that never leave L1. Exponents are kept in base 2.
template <int Rows, int Columns, int Window, int Dim, class Real>
class WindowHead {
  using Windows = WindowGrid<Rows, Columns, Window>;
  static constexpr int N = Windows::length, side = 2 * Window - 1;
  static constexpr int L = lanes<Real>, padded = (N + L - 1) / L * L;
  static constexpr int LD = lanes_for<Real>(Dim), vectors = Dim / LD;  // of a row of Dim channels

 public:
  static constexpr int tile = L * sizeof(Real) == 64 ? 8 : 4;  ///< queries computed together
  static constexpr int tiles = (N + tile - 1) / tile;

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

  /// Loads a head: qkv is that of the sample, pad that of a padded token, both at the head's first query channel;
  /// `width` numbers on are its keys, then its values. bias: the head's table.
  void load_head(const Real* qkv, const Real* pad, std::ptrdiff_t width, Real scale, const Real* bias) {
    constexpr Real log2_e = Real(1.4426950408889634074);
    qkv_ = qkv, pad_ = pad, token_stride_ = 3 * width, scale_ = scale * log2_e;
    for (int n = 0; n < N; ++n) {
      const Real* row = row_of(n);
      const Real inverse = inverse_norm(row + width);
      for (int c = 0; c < Dim; ++c) keys_[c][n] = row[width + c] * inverse;
      for (int c = 0; c < vectors; ++c) store<LD>(values_[n] + c * LD, load<LD>(row + 2 * width + c * LD));
    }
    for (int y = 0; y < side; ++y)  // a query's row of keys, left to right, is then a piece of the table
      for (int x = 0; x < side; ++x) bias_[y * side + side - 1 - x] = bias[y * side + x] * log2_e;
  }

  /// Attention of queries [tile t, ...) to out, that of the sample at the head's first channel.
  void attend(int t, Real* out, std::ptrdiff_t width) {
    const auto query = [=](int m) { return std::min(t * tile + m, N - 1); };  // the last tile repeats the last query
    for (int m = 0; m < tile; ++m) {
      const Real* q = row_of(query(m));
      const Real factor = scale_ * inverse_norm(q);
      for (int c = 0; c < vectors; ++c) store<LD>(query_[m] + c * LD, load<LD>(q + c * LD) * factor);
      start_scores(query(m), score_[m]);
    }
    int n = 0;
    for (; n + 2 * L <= padded; n += 2 * L) add_products<2>(n);
    if constexpr (padded % (2 * L) != 0) add_products<1>(n);
    Real total[tile];
    for (int m = 0; m < tile; ++m) total[m] = exponentials(score_[m]);
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
        const int token = token_[t * tile + m];
        if (token < 0) continue;
        for (int j = 0; j < chunk; ++j) store<LD>(out + token * width + (c + j) * LD, sums[m][j] / total[m]);
      }
    }
  }

 private:
  /// Vectors of a row of values whose sums stay in registers.
  static constexpr int chunk = vectors % 3 == 0 ? 3 : vectors % 2 == 0 ? 2 : 1;

  const Real* row_of(int n) const { return token_[n] < 0 ? pad_ : qkv_ + token_[n] * token_stride_; }

  static Real inverse_norm(const Real* v) {
    vec<Real, LD> squares{};
    for (int c = 0; c < vectors; ++c) squares += load<LD>(v + c * LD) * load<LD>(v + c * LD);
    return 1 / std::max(std::sqrt(sum<Real, LD>(squares)), Real(1e-12));
  }

  /// What the products are added to: bias and mask.
  void start_scores(int query, Real* score) const {
    const Real* table = bias_ + (query / Window + Window - 1) * side + Window - 1 - query % Window;
    for (int y = 0; y < Window; ++y) std::memcpy(score + y * Window, table - y * side, sizeof(Real) * Window);
    for (int n = N; n < padded; ++n) score[n] = Real(-1e30);
    if (!masked_) return;
    constexpr Real mask = Real(window_mask * 1.4426950408889634074);
    const Real region = region_[query];
    for (int n = 0; n < N; ++n) score[n] += region_[n] == region ? Real(0) : mask;
  }

  /// score[m][n...] += query[m] . key[n...] for J vectors of keys.
  template <int J>
  [[gnu::always_inline]] void add_products(int n) {
    vec<Real, L> sums[tile][J];
#pragma GCC unroll 8
    for (int m = 0; m < tile; ++m)
      for (int j = 0; j < J; ++j) sums[m][j] = load<L>(score_[m] + n + j * L);
    for (int c = 0; c < Dim; ++c) {
      vec<Real, L> k[J];
      for (int j = 0; j < J; ++j) k[j] = load<L>(keys_[c] + n + j * L);
#pragma GCC unroll 8
      for (int m = 0; m < tile; ++m)
        for (int j = 0; j < J; ++j) sums[m][j] = multiply_add<Real, L>(broadcast<L>(query_[m][c]), k[j], sums[m][j]);
    }
#pragma GCC unroll 8
    for (int m = 0; m < tile; ++m)
      for (int j = 0; j < J; ++j) store<L>(score_[m] + n + j * L, sums[m][j]);
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

  alignas(64) Real keys_[Dim][padded] = {};
  alignas(64) Real values_[N][Dim];
  alignas(64) Real score_[tile][padded];
  alignas(64) Real query_[tile][Dim];
  Real bias_[side * side];
  Real region_[N];
  int token_[N];
  bool masked_ = false;
  const Real *qkv_ = nullptr, *pad_ = nullptr;
  std::ptrdiff_t token_stride_ = 0;
  Real scale_ = 1;
};

}  // namespace detail

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
