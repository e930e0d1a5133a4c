#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/core/packed.hpp>
#include <fieldstep/ops/vec.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

// y = x W with what stands before and after it fused: a loader makes the rows of x (normalised, activated, gathered
// from patches), an epilogue turns the sums into what is stored (bias, GELU, residual).
//
// A work item is a block of rows times a range of weight panels. The block of x is laid out once in a thread's own
// memory, or read where it lies, and stays in its L2; of a panel of W, `depth` rows at a time stay close while all
// tiles of the block pass by; W is read front to back. What a tile will store to and what comes next of W is asked for
// while it is computed, a line at a time: asked for all at once, the lines would fill the core's miss buffers and stop
// it. Every output is one chain of fused multiply-adds over k, cut only at multiples of `depth`: its bits depend
// neither on the tile nor on the thread.
namespace fieldstep::ops {

/// Rows of a tile: with panels of three vectors the sums fill 12 of 16 or 24 of 32 registers.
template <class Real>
inline constexpr int tile_rows =
#if defined(__AVX512F__)
    8;
#else
    4;
#endif

/// Rows of a block of x: about 256 KiB, and enough to use a panel often. Long rows need more; processors with AVX-512
/// have an L2 of 1 MiB or more.
constexpr int block_rows(int K) {
  if (K >= 2048) return native_lanes<float> == 16 ? 64 : 32;
  return K <= 512 ? 128 : 65536 / K / 8 * 8;
}

/// Length of the sums kept in registers: the largest multiple of 16 up to 192 that divides K, so that a panel stays in
/// L1.
constexpr int block_depth(int K) {
  if (K <= 192) return K;
  for (int depth = 192; depth >= 64; depth -= 16)
    if (K % depth == 0) return depth;
  return K;
}

/// Rows of x as they lie in memory; short ones are read in place. Loaders write columns [k, k + Depth) of row `row` to
/// `to`.
template <class Real>
struct RowsLoader {
  const Real* x;
  std::ptrdiff_t stride;  ///< from row to row

  template <int Depth>
  void load_row(int row, int k, Real* to) const {
    std::memcpy(to, x + row * stride + k, sizeof(Real) * Depth);
  }
};

/// A loader whose rows need no change.
template <class Loader>
concept RowsInPlace = requires(const Loader& loader) {
  loader.x;
  loader.stride;
};

/// Stores x W. Epilogues answer columns<L>(column) with a function (row, sums) -> what is stored, so that what they
/// read per column is read once a tile.
template <class Real>
struct PlainEpilogue {
  template <int L>
  [[gnu::always_inline]] auto columns(int) const {
    return [](int, vec<Real, L> sums) { return sums; };
  }
};

/// Stores x W + bias.
template <class Real>
struct BiasEpilogue {
  const Real* bias;

  template <int L>
  [[gnu::always_inline]] auto columns(int column) const {
    return [b = load<L>(bias + column)](int, vec<Real, L> sums) { return sums + b; };
  }
};

/// Stores gelu(x W + bias).
template <class Real>
struct BiasGeluEpilogue {
  const Real* bias;

  template <int L>
  [[gnu::always_inline]] auto columns(int column) const {
    return [b = load<L>(bias + column)](int, vec<Real, L> sums) { return gelu<Real, L>(sums + b); };
  }
};

namespace detail {

inline constexpr int cache_line = 64;

/// The first used_columns of every row of sums, one by one.
template <class Real, class Epilogue>
[[gnu::noinline]] void store_columns(const Real* sums, int rows, int width, int used_columns, int row, int column,
                                     Real* y, std::ptrdiff_t y_stride, const Epilogue& epilogue) {
  for (int c = 0; c < used_columns; ++c) {
    const auto finish = epilogue.template columns<1>(column + c);
    for (int i = 0; i < rows; ++i) store<1>(y + i * y_stride + c, finish(row + i, vec<Real, 1>{sums[i * width + c]}));
  }
}

/// Rows x (Vectors * lanes) sums over Depth terms, added to what `sums` holds unless first. The last depth goes through
/// the epilogue to y, the others back to sums. Brings Depth * step bytes from `next` on to L2, Lines cache lines a
/// step.
template <int Rows, int Vectors, int Depth, int Lines, class Real, class Epilogue>
[[gnu::always_inline]] inline void tile(const Real* __restrict x, std::ptrdiff_t x_stride, const Real* __restrict w,
                                        bool first, bool last, Real* __restrict sums, int row, int column, Real* y,
                                        std::ptrdiff_t y_stride, int used_columns, const Epilogue& epilogue,
                                        const char* next, int step) {
  constexpr int L = lanes<Real>, width = Vectors * L;
  vec<Real, L> acc[Rows][Vectors] = {};
  y += row * y_stride + column;
#pragma GCC unroll 2
  for (int k = 0; k < Depth; ++k) {
    if (Depth > 96)  // a shallow matrix is there already
      for (int line = 0; line < Lines; ++line) __builtin_prefetch(next + k * step + line * cache_line, 0, 2);
    if (k < Rows * Vectors) __builtin_prefetch(y + k % Rows * y_stride + k / Rows * L, 1, 3);
    vec<Real, L> b[Vectors];
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) b[j] = load<L>(w + k * width + j * L);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const vec<Real, L> a = broadcast<L>(x[i * x_stride + k]);
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) acc[i][j] = multiply_add<Real, L>(a, b[j], acc[i][j]);
    }
  }
  if (!first) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) acc[i][j] += load<L>(sums + i * width + j * L);
  }
  if (!last) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) store<L>(sums + i * width + j * L, acc[i][j]);
    return;
  }
  if (used_columns >= width) {
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) {
      const auto finish = epilogue.template columns<L>(column + j * L);
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i) store<L>(y + i * y_stride + j * L, finish(row + i, acc[i][j]));
    }
  } else {  // the matrix, or what is asked of it, ends inside the panel
    alignas(64) Real rest[Rows * width];
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) store<L>(rest + i * width + j * L, acc[i][j]);
    store_columns<Real>(rest, Rows, width, used_columns, row, column, y, y_stride, epilogue);
  }
}

/// `Depth` rows of a panel with all tiles of a block.
template <int Vectors, int Depth, class Real, class Epilogue>
[[gnu::noinline]] void panel(const Real* x, std::ptrdiff_t x_stride, const Real* w, bool first, bool last, Real* sums,
                             int row, int rows, int column, Real* y, std::ptrdiff_t y_stride, int used_columns,
                             const Epilogue& epilogue) {
  constexpr int M = tile_rows<Real>, width = Vectors * lanes<Real>, bytes = width * static_cast<int>(sizeof(Real));
  const char* next = reinterpret_cast<const char*>(w + Depth * width);
  const int step = (bytes * M + rows - 1) / rows;  // every tile brings its share of what comes next of W
  int r = 0;
  const auto tiles = [&]<int Lines>() {
    for (; r + M <= rows; r += M, next += Depth * step)
      tile<M, Vectors, Depth, Lines>(x + r * x_stride, x_stride, w, first, last, sums + r * width, row + r, column, y,
                                     y_stride, used_columns, epilogue, next, step);
  };
  if (step > cache_line)
    tiles.template operator()<2>();  // two tiles alone: all of W comes from memory, at the speed they use it
  else
    tiles.template operator()<1>();
  for (; r < rows; ++r)
    tile<1, Vectors, Depth, 1>(x + r * x_stride, x_stride, w, first, last, sums + r * width, row + r, column, y,
                               y_stride, used_columns, epilogue, next, 0);
}

}  // namespace detail

/// y[r, n] = epilogue(sum_k x[r, k] W[k, n]) for W of one or several matrices side by side (column n is column n % N of
/// matrix n / N), rows [0, rows) and the panels that cover columns [first_column, last_column); the first panel is
/// computed whole, so up to panel - 1 columns before first_column are written too.
/// y_stride: numbers from row to row of y. y must not be what x is loaded from.
template <class Exec, class Real, class Layout, std::size_t Parts, class Loader, class Epilogue>
void matmul(const Exec& exec, int rows, const Loader& x, std::array<Packed<const Real, Layout>, Parts> w, Real* y,
            std::ptrdiff_t y_stride, const Epilogue& epilogue, int first_column, int last_column) {
  using W = Packed<const Real, Layout>;
  constexpr int K = W::K, L = lanes<Real>, width = W::panel, depth = block_depth(K), M = tile_rows<Real>;
  constexpr bool in_place = K <= 384 && RowsInPlace<Loader>;
  constexpr int stride = K + 64 / static_cast<int>(sizeof(Real));  // rows of a block start in different cache sets
  constexpr int tail_vectors = W::padded_N % width / L, most_rows = block_rows(K);
  constexpr int part_panels = (W::padded_N + width - 1) / width;
  const auto panels_before = [](int column) { return column / W::N * part_panels + column % W::N / width; };
  const int first_panel = panels_before(first_column), panels = panels_before(last_column - 1) + 1 - first_panel;

  // Blocks of equal size, as many as threads or a multiple of it; ranges of panels where rows are too few to use a
  // panel of W often.
  constexpr int few_rows = 32;
  const int threads = workers(exec), least = panels < threads ? 1 : std::min(rows, few_rows);
  const int share = std::max(least, (rows + threads - 1) / threads), blocks = (share + most_rows - 1) / most_rows;
  const int item_rows = ((share + blocks - 1) / blocks + M - 1) / M * M;
  const int row_items = (rows + item_rows - 1) / item_rows;
  const int panel_items = std::min(panels, (threads + row_items - 1) / row_items);

  for_ranges(exec, row_items * panel_items, [=](int begin, int end) {
    alignas(64) Real block[in_place ? 1 : most_rows * stride];
    alignas(64) Real sums[depth < K ? most_rows * width : 1];
    for (int item = begin; item < end; ++item) {
      const int row = item / panel_items * item_rows, count = std::min(item_rows, rows - row);
      const int part = item % panel_items;
      const int p_begin = first_panel + panels * part / panel_items,
                p_end = first_panel + panels * (part + 1) / panel_items;
      const Real* rows_of_x = block;
      std::ptrdiff_t x_stride = stride;
      if constexpr (in_place)
        rows_of_x = x.x + row * x.stride, x_stride = x.stride;
      else
        for (int r = 0; r < count; ++r) x.template load_row<K>(row + r, 0, block + r * stride);
      for (int p = p_begin; p < p_end; ++p) {
        const auto matrix = static_cast<std::size_t>(p / part_panels);
        const int column = p % part_panels * width, from = static_cast<int>(matrix) * W::N + column;
        const int used = std::min(last_column - from, W::N - column);
        const bool whole = tail_vectors == 0 || column + width <= W::padded_N;
        for (int k = 0; k < K; k += depth) {
          const Real* rows_of_w = w[matrix].data_handle() + W::index(k, column);
          const bool first = k == 0, last = k + depth == K;
          if (whole)
            detail::panel<3, depth>(rows_of_x + k, x_stride, rows_of_w, first, last, sums, row, count, from, y,
                                    y_stride, used, epilogue);
          else if constexpr (tail_vectors > 0)
            detail::panel<tail_vectors, depth>(rows_of_x + k, x_stride, rows_of_w, first, last, sums, row, count, from,
                                               y, y_stride, used, epilogue);
        }
      }
    }
  });
}

template <class Exec, class Real, class Layout, std::size_t Parts, class Loader, class Epilogue>
void matmul(const Exec& exec, int rows, const Loader& x, const std::array<Packed<const Real, Layout>, Parts>& w,
            Real* y, std::ptrdiff_t y_stride, const Epilogue& epilogue) {
  matmul(exec, rows, x, w, y, y_stride, epilogue, 0, static_cast<int>(Parts) * Layout::N);
}

/// The same for one matrix.
template <class Exec, class Real, class Layout, class Loader, class Epilogue>
void matmul(const Exec& exec, int rows, const Loader& x, Packed<const Real, Layout> w, Real* y, std::ptrdiff_t y_stride,
            const Epilogue& epilogue, int first_column = 0, int last_column = Layout::N) {
  matmul(exec, rows, x, std::array{w}, y, y_stride, epilogue, first_column, last_column);
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
