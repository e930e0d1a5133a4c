#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/core/packed.hpp>
#include <fieldstep/ops/vec.hpp>

#include <algorithm>
#include <cstddef>

// y = x W with what stands before and after it fused: a loader makes the rows of x (normalised, activated, gathered
// from patches), an epilogue turns the sums into what is stored (bias, GELU, residual).
//
// A work item is a block of rows times a range of weight panels. The block of x is laid out once in a thread's own
// memory (it stays in L2), each panel of W (it stays in L1) is multiplied with all its tiles of rows. Every output is
// one chain of fused multiply-adds over k, cut only at multiples of `depth`: its bits depend neither on the tile nor on
// the thread.
namespace fieldstep::ops {

/// Rows of a tile: with panels of three vectors the sums fill 12 of 16 or 24 of 32 registers.
template <class Real>
inline constexpr int tile_rows =
#if defined(__AVX512F__)
    8;
#else
    4;
#endif

/// Rows of a block of x.
inline constexpr int block_rows = 128;

/// Length of the sums kept in registers: the largest multiple of 16 up to 256 that divides K, so that a
/// panel of W stays in L1.
constexpr int block_depth(int K) {
  if (K <= 256) return K;
  for (int depth = 256; depth >= 64; depth -= 16)
    if (K % depth == 0) return depth;
  return K;
}

/// Rows of x as they lie in memory. Loaders write columns [k, k + Depth) of row `row` to `to`.
template <class Real>
struct RowsLoader {
  const Real* x;
  std::ptrdiff_t stride;  ///< from row to row

  template <int Depth>
  void load_row(int row, int k, Real* to) const {
    std::memcpy(to, x + row * stride + k, sizeof(Real) * Depth);
  }
};

/// Stores x W + bias. Epilogues map the sums of L neighbouring columns, starting at (row, column), to what is stored.
template <class Real>
struct BiasEpilogue {
  const Real* bias;

  template <int L>
  [[gnu::always_inline]] vec<Real, L> apply(int, int column, vec<Real, L> sums) const {
    return sums + load<L>(bias + column);
  }
};

/// Stores x W.
template <class Real>
struct PlainEpilogue {
  template <int L>
  [[gnu::always_inline]] vec<Real, L> apply(int, int, vec<Real, L> sums) const {
    return sums;
  }
};

/// Stores gelu(x W + bias).
template <class Real>
struct BiasGeluEpilogue {
  const Real* bias;

  template <int L>
  [[gnu::always_inline]] vec<Real, L> apply(int, int column, vec<Real, L> sums) const {
    return gelu<Real, L>(sums + load<L>(bias + column));
  }
};

/// Where the rows of y go, and where partial sums wait when K is longer than one block_depth.
template <class Real>
struct Output {
  Real* y;
  std::ptrdiff_t stride;
  Real* partial = nullptr;  ///< rows x stride numbers; y itself if the epilogue does not read y
};

namespace detail {

/// The first `used` < lanes columns of a vector of sums: where a matrix ends inside a vector.
template <class Real, class Epilogue>
[[gnu::noinline]] void store_ragged(vec<Real, lanes<Real>> sums, bool first, bool last, int row, int column, int used,
                                    const Output<Real>& out, const Epilogue& epilogue) {
  Real* y = out.y + row * out.stride + column;
  Real* partial = out.partial + row * out.stride + column;
  for (int l = 0; l < used; ++l) {
    vec<Real, 1> sum{sums[l]};
    if (!first) sum += load<1>(partial + l);
    if (last)
      store<1>(y + l, epilogue.template apply<1>(row, column + l, sum));
    else
      store<1>(partial + l, sum);
  }
}

/// One tile: Rows x (Vectors * lanes) sums over Depth terms.
template <int Rows, int Vectors, int Depth, class Real, class Epilogue>
[[gnu::always_inline]] inline void tile(const Real* __restrict x, int x_stride, const Real* __restrict w, bool first,
                                        bool last, int row, int column, int used_columns, const Output<Real>& out,
                                        const Epilogue& epilogue) {
  constexpr int L = lanes<Real>, width = Vectors * L;
  vec<Real, L> sums[Rows][Vectors] = {};
#pragma GCC unroll 2
  for (int k = 0; k < Depth; ++k) {
    vec<Real, L> b[Vectors];
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) b[j] = load<L>(w + k * width + j * L);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const Real a = x[i * x_stride + k];
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) sums[i][j] += a * b[j];
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    Real* y = out.y + (row + i) * out.stride + column;
    Real* partial = out.partial + (row + i) * out.stride + column;
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) {
      const int rest = used_columns - j * L;
      vec<Real, L> s = sums[i][j];
      if (rest >= L) {
        if (!first) s += load<L>(partial + j * L);
        if (last)
          store<L>(y + j * L, epilogue.template apply<L>(row + i, column + j * L, s));
        else
          store<L>(partial + j * L, s);
      } else {
        store_ragged<Real>(s, first, last, row + i, column + j * L, rest, out, epilogue);
      }
    }
  }
}

template <int Vectors, int Depth, class Real, class Epilogue>
[[gnu::noinline]] void panel(const Real* x, int x_stride, const Real* w, bool first, bool last, int row, int rows,
                             int column, int used_columns, const Output<Real>& out, const Epilogue& epilogue) {
  constexpr int M = tile_rows<Real>;
  // The next panel comes into cache while this one is used, a share of it with every tile.
  constexpr int lines = Depth * Vectors * lanes<Real> * static_cast<int>(sizeof(Real)) / 64;
  const char* next = reinterpret_cast<const char*>(w + Depth * Vectors * lanes<Real>);
  const int share = (lines * M + rows - 1) / rows;
  int r = 0;
  for (; r + M <= rows; r += M) {
    for (int i = 0; i < share; ++i) __builtin_prefetch(next + 64 * i, 0, 2);
    next += 64 * share;
    tile<M, Vectors, Depth>(x + r * x_stride, x_stride, w, first, last, row + r, column, used_columns, out, epilogue);
  }
  for (; r < rows; ++r)
    tile<1, Vectors, Depth>(x + r * x_stride, x_stride, w, first, last, row + r, column, used_columns, out, epilogue);
}

}  // namespace detail

/// y[r, n] = epilogue(sum_k x[r, k] W[k, n]) for rows [0, rows) and the panels that cover columns [first_column,
/// last_column); the first panel is computed whole, so up to panel - 1 columns before first_column are written too.
template <class Exec, class Real, class Layout, class Loader, class Epilogue>
void matmul(const Exec& exec, int rows, const Loader& x, Packed<const Real, Layout> w, const Output<Real>& out,
            const Epilogue& epilogue, int first_column = 0, int last_column = Layout::N) {
  using W = Packed<const Real, Layout>;
  constexpr int K = W::K, L = lanes<Real>, width = W::panel;
  constexpr int depth = block_depth(K), M = tile_rows<Real>, stride = depth + 64 / static_cast<int>(sizeof(Real));
  constexpr int tail_vectors = W::padded_N % width / L;
  const int first_panel = first_column / width, panels = (last_column + width - 1) / width - first_panel;

  // Enough items for every thread: blocks of rows first, then ranges of panels.
  const int threads = workers(exec);
  const int wanted_rows = ((rows + threads - 1) / threads + M - 1) / M * M;
  const int item_rows = std::min(wanted_rows, block_rows);
  const int row_items = (rows + item_rows - 1) / item_rows;
  const int panel_items = std::min(panels, (threads + row_items - 1) / row_items);

  for_ranges(exec, row_items * panel_items, [=](int begin, int end) {
    alignas(64) Real block[block_rows * stride];
    for (int item = begin; item < end; ++item) {
      const int row = item / panel_items * item_rows, count = std::min(item_rows, rows - row);
      const int part = item % panel_items;
      const int p_begin = first_panel + panels * part / panel_items,
                p_end = first_panel + panels * (part + 1) / panel_items;
      for (int k = 0; k < K; k += depth) {
        for (int r = 0; r < count; ++r) x.template load_row<depth>(row + r, k, block + r * stride);
        const bool first = k == 0, last = k + depth == K;
        for (int p = p_begin; p < p_end; ++p) {
          const int column = p * width;
          if (tail_vectors == 0 || column + width <= W::padded_N)
            detail::panel<3, depth>(block, stride, w.data_handle() + W::index(k, column), first, last, row, count,
                                    column, last_column - column, out, epilogue);
          else if constexpr (tail_vectors > 0)
            detail::panel<tail_vectors, depth>(block, stride, w.data_handle() + W::index(k, column), first, last, row,
                                               count, column, last_column - column, out, epilogue);
        }
      }
    }
  });
}

/// The same, one thread an output, for any execution space: yardstick of the test and benchmark, and the device path.
template <class Exec, class Real, class Layout>
void matmul_naive(const Exec& exec, int rows, const Real* x, std::ptrdiff_t x_stride, Packed<const Real, Layout> w,
                  const Real* bias, Real* y, std::ptrdiff_t y_stride) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {rows, Layout::N}), KOKKOS_LAMBDA(int r, int n) {
        Real sum = 0;
        for (int k = 0; k < Layout::K; ++k) sum += x[r * x_stride + k] * w(k, n);
        y[r * y_stride + n] = sum + (bias ? bias[n] : Real(0));
      });
}

}  // namespace fieldstep::ops
