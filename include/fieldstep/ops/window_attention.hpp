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

/// The same on the host, without dropout.
template <int Rows, int Columns, int Window, int Heads, int Dim, class Exec, class Real>
void window_attention(const Exec& exec, int samples, int shift, const Real* qkv, const Real* pad, const Real* scale,
                      const Real* bias, Real* out) {
  window_attention_naive<Rows, Columns, Window, Heads, Dim>(exec, samples, shift, qkv, pad, scale, bias, out);
}

}  // namespace fieldstep::ops
