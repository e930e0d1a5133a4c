#pragma once
#include <fieldstep/ops/statistics.hpp>
#include <fieldstep/ops/window_attention.hpp>

#include <string_view>
#include <vector>

// Activations that production fuses away, computed again to be shown. Nothing here is called without a trace.
namespace fieldstep::blocks::detail {

/// Shows x * scale (+ shift), x: (batch, frames, rows, columns, Channels).
template <int Channels, class Exec, class Real, class Tracer>
void show_normalised(const Exec& exec, const Tracer& trace, std::string_view name, int batch, int frames, int rows,
                     int columns, const Real* x, const Real* scale, const Real* shift) {
  std::vector<Real> y(static_cast<std::size_t>(batch) * frames * rows * columns * Channels);
  ops::scale_shift<Channels>(exec, batch * frames, rows * columns, x, scale, shift, y.data());
  trace(name, "btijc", {batch, frames, rows, columns, Channels}, y.data());
}

/// Shows q, k and v (tokens, 3, Heads, Dim) in the original's channel order (Heads, 3, Dim).
template <int Heads, int Dim, class Real, class Tracer>
void show_qkv(const Tracer& trace, std::string_view name, int batch, int frames, int rows, int columns,
              const Real* qkv) {
  const int tokens = batch * frames * rows * columns;
  std::vector<Real> y(static_cast<std::size_t>(tokens) * 3 * Heads * Dim);
  Real* to = y.data();
  for (int token = 0; token < tokens; ++token, qkv += 3 * Heads * Dim)
    for (int head = 0; head < Heads; ++head)
      for (int part = 0; part < 3; ++part)
        for (int c = 0; c < Dim; ++c) *to++ = qkv[(part * Heads + head) * Dim + c];
  trace(name, "btijc", {batch, frames, rows, columns, 3 * Heads * Dim}, y.data());
}

/// Shows part 0 (q) or 1 (k) of (tokens, 3, Heads, Dim).
template <int Heads, int Dim, class Real, class Tracer>
void show_part(const Tracer& trace, std::string_view name, int part, int batch, int frames, int rows, int columns,
               const Real* qkv) {
  const int tokens = batch * frames * rows * columns;
  std::vector<Real> y;
  for (int token = 0; token < tokens; ++token) {
    const Real* from = qkv + (static_cast<std::size_t>(token) * 3 + part) * Heads * Dim;
    y.insert(y.end(), from, from + Heads * Dim);
  }
  trace(name, "btijnd", {batch, frames, rows, columns, Heads, Dim}, y.data());
}

/// Shows Width numbers of every token, `stride` from token to token, window by window as the original keeps them; those
/// of padded tokens are `pad`, or 0 where that is null.
template <int Rows, int Columns, int Window, int Width, class Real, class Tracer>
void show_windows(const Tracer& trace, std::string_view name, int samples, int shift, const Real* tokens,
                  std::ptrdiff_t stride, const Real* pad = nullptr) {
  using Windows = ops::WindowGrid<Rows, Columns, Window>;
  std::vector<Real> y;
  for (int item = 0; item < samples * Windows::windows; ++item)
    for (int n = 0; n < Windows::length; ++n) {
      const int token = Windows::place(item % Windows::windows, n, shift).token();
      const Real* from = token < 0 ? pad : tokens + (item / Windows::windows * Rows * Columns + token) * stride;
      if (from)
        y.insert(y.end(), from, from + Width);
      else
        y.insert(y.end(), Width, Real(0));
    }
  trace(name, "wpc", {samples * Windows::windows, Windows::length, Width}, y.data());
}

}  // namespace fieldstep::blocks::detail
