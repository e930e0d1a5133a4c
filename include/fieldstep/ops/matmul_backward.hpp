#pragma once
#include <fieldstep/ops/matmul.hpp>

// Gradients of y = x W + bias (matmul.hpp). Both use the forward's micro-kernel shapes: a tile of sums in registers,
// one operand broadcast, the other a panel of three vectors.
//
// dx = dy W^T reads the panels of W across: a block of W that fits L1 is turned over in a thread's own memory just
// before it is used, so that there is no second copy of the weights to be kept up to date. dW = x^T dy is added in the
// packed order of W; every entry is summed by one thread, over rows in order, cut at multiples of gradient_rows: its
// bits depend neither on the tile nor on the number of threads.
namespace fieldstep::ops {

/// Rows of x and dy that pass through the sums of dW together: those of a panel of dy and a tile's columns of x fit L1,
/// all columns of x fit L2.
constexpr int gradient_rows(int K) { return K > 1024 ? 48 : 96; }

/// Count rows of a packed matrix, from row `first` on, as a matrix of their own.
template <class R, class Layout, int Count>
class PackedRows {
  using Whole = Packed<R, Layout>;

 public:
  using value_type = typename Whole::value_type;
  static constexpr int K = Count, N = Whole::N, panel = Whole::panel;

  PackedRows() = default;
  PackedRows(Whole w, int first) : w_(w), first_(first) {}

  R* data_handle() const { return w_.data_handle(); }
  std::size_t index(int k, int n) const { return Whole::index(first_ + k, n); }

 private:
  Whole w_;
  int first_ = 0;
};

/// All rows of a matrix in groups of Count, such as one for every tap of a convolution.
template <int Count, class R, class Layout>
auto row_groups(Packed<R, Layout> w) {
  static_assert(Layout::K % Count == 0, "row_groups: Count must divide the rows of the matrix");
  std::array<PackedRows<R, Layout, Count>, Layout::K / Count> groups;
  for (int g = 0; g < Layout::K / Count; ++g) groups[static_cast<std::size_t>(g)] = {w, g * Count};
  return groups;
}

/// Stores (x W) * factor; factor: (rows, stride), may be where the result goes.
template <class Real>
struct MultiplyEpilogue {
  const Real* factor;
  std::ptrdiff_t stride;

  template <int L>
  [[gnu::always_inline]] auto columns(int column) const {
    return
        [at = factor + column, step = stride](int row, vec<Real, L> sums) { return load<L>(at + row * step) * sums; };
  }
};

namespace detail {

/// Columns [n, n + Depth) of rows [k, k + width) of W as a panel: to[(column - n) * width + (row - k)]. Rows behind K
/// are zero; room for whole vectors of columns is needed. The block that lies `next` numbers on is asked for on the
/// way.
template <int Depth, class W, class Real>
void turn_over(const W& w, int k, int n, int width, std::ptrdiff_t next, Real* to) {
  constexpr int L = lanes<Real>;
  for (int row = k; row < k + width; row += L)
    for (int column = n; column < n + Depth; column += L) {
      vec<Real, L> block[L];
      const Real* from = w.data_handle() + w.index(row, column);
      const auto stride = static_cast<std::ptrdiff_t>(w.index(row + 1, column) - w.index(row, column));
      for (int i = 0; i < L; ++i) {
        block[i] = row + i < W::K ? load<L>(from + i * stride) : vec<Real, L>{};
        __builtin_prefetch(from + i * stride + next, 0, 2);
      }
      transpose<Real, L>(block);
      for (int i = 0; i < L; ++i) store<L>(to + (column - n + i) * width + row - k, block[i]);
    }
}

/// dw[i][j] += sum over `rows` rows of x[row][i] dy[row][j] for a tile of Rows x (Vectors * lanes).
template <int Rows, int Vectors, class Real>
[[gnu::always_inline]] inline void gradient_tile(int rows, const Real* __restrict x, std::ptrdiff_t x_stride,
                                                 const Real* __restrict dy, Real* __restrict dw) {
  constexpr int L = lanes<Real>, width = Vectors * L;
  vec<Real, L> acc[Rows][Vectors] = {};
  for (int r = 0; r < rows; ++r, x += x_stride, dy += width) {
    vec<Real, L> b[Vectors];
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) b[j] = load<L>(dy + j * L);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const vec<Real, L> a = broadcast<L>(x[i]);
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) acc[i][j] = multiply_add<Real, L>(a, b[j], acc[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) {
      Real* at = dw + i * width + j * L;
      store<L>(at, load<L>(at) + acc[i][j]);
    }
}

/// The same for K rows of a panel of dW.
template <int Vectors, class Real>
[[gnu::noinline]] void gradient_panel(int rows, const Real* x, std::ptrdiff_t x_stride, const Real* dy, int K,
                                      Real* dw) {
  constexpr int M = tile_rows<Real>, width = Vectors * lanes<Real>;
  int k = 0;
  for (; k + M <= K; k += M) {
    for (int line = 0; line < M * width; line += cache_line / static_cast<int>(sizeof(Real)))
      __builtin_prefetch(dw + (k + M) * width + line, 1, 3);
    gradient_tile<M, Vectors>(rows, x + k, x_stride, dy, dw + k * width);
  }
  for (; k < K; ++k) gradient_tile<1, Vectors>(rows, x + k, x_stride, dy, dw + k * width);
}

/// `rows` rows of `used` columns of dy side by side, the rest of `width` zero; their sums are added to dbias unless it
/// is null.
template <class Real>
void pack_columns(int rows, const Real* dy, std::ptrdiff_t stride, int used, int width, Real* to, Real* dbias) {
  for (int r = 0; r < rows; ++r, dy += stride, to += width) {
    std::copy_n(dy, used, to);
    std::fill(to + used, to + width, Real(0));
  }
  if (!dbias) return;
  to -= static_cast<std::ptrdiff_t>(rows) * width;
  alignas(64) Real sums[panel_width<Real>] = {};
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < width; ++c) sums[c] += to[r * width + c];
  for (int c = 0; c < used; ++c) dbias[c] += sums[c];
}

}  // namespace detail

/// dx[r, k] = epilogue(sum over parts and n of dy[r, part * N + n] W_part[k, n]): the gradient of matmul's x for W of
/// one or several matrices side by side, Packed or PackedRows. dy: a loader of rows of Parts * N numbers; dx must not
/// be what it loads from.
template <class Exec, class W, std::size_t Parts, class Loader, class Epilogue>
void matmul_transposed(const Exec& exec, int rows, const Loader& dy, std::array<W, Parts> w, typename W::value_type* dx,
                       std::ptrdiff_t dx_stride, const Epilogue& epilogue) {
  using Real = typename W::value_type;
  constexpr int parts = static_cast<int>(Parts), N = W::N, width_y = parts * N, L = lanes<Real>, width = W::panel;
  constexpr int depth = block_depth(N), most_rows = block_rows(width_y), M = tile_rows<Real>;
  constexpr bool in_place = width_y <= 384 && RowsInPlace<Loader>;
  constexpr int stride = width_y + 64 / static_cast<int>(sizeof(Real));
  constexpr int padded_K = (W::K + L - 1) / L * L, tail_vectors = padded_K % width / L;
  constexpr int panels = (W::K + width - 1) / width;

  const int threads = workers(exec);
  const int share = (rows + threads - 1) / threads, blocks = (share + most_rows - 1) / most_rows;
  constexpr int few_rows = 128;  // each item turns W over for itself: rather cut the panels among the threads
  const bool cut_rows = panels < threads || share >= few_rows;
  const int item_rows = cut_rows ? ((share + blocks - 1) / blocks + M - 1) / M * M : std::min(rows, most_rows);
  const int row_items = (rows + item_rows - 1) / item_rows;
  const int panel_items = std::min(panels, (threads + row_items - 1) / row_items);

  for_ranges(exec, row_items * panel_items, [=](int begin, int end) {
    alignas(64) Real block[in_place ? 1 : most_rows * stride];
    alignas(64) Real sums[depth < width_y ? most_rows * width : 1];
    alignas(64) Real turned[(depth + L - 1) / L * L * width];
    for (int item = begin; item < end; ++item) {
      const int row = item / panel_items * item_rows, count = std::min(item_rows, rows - row);
      const int share_of_panels = item % panel_items;
      const Real* rows_of_dy = block;
      std::ptrdiff_t dy_stride = stride;
      if constexpr (in_place)
        rows_of_dy = dy.x + row * dy.stride, dy_stride = dy.stride;
      else
        for (int r = 0; r < count; ++r) dy.template load_row<width_y>(row + r, 0, block + r * stride);
      for (int p = panels * share_of_panels / panel_items; p < panels * (share_of_panels + 1) / panel_items; ++p) {
        const int k = p * width;
        const auto add = [&]<int Vectors>(int part, int n) {
          const bool first = part == 0 && n == 0, last = part + 1 == parts && n + depth == N;
          const auto& matrix = w[static_cast<std::size_t>(part)];
          const auto next =
              (n + depth < N ? matrix.index(k, n + depth) : matrix.index(k + width, 0)) - matrix.index(k, n);
          detail::turn_over<depth>(matrix, k, n, Vectors * L, static_cast<std::ptrdiff_t>(next), turned);
          detail::panel<Vectors, depth>(rows_of_dy + part * N + n, dy_stride, turned, first, last, sums, row, count, k,
                                        dx, dx_stride, W::K - k, epilogue);
        };
        for (int part = 0; part < parts; ++part)
          for (int n = 0; n < N; n += depth) {
            if (tail_vectors == 0 || k + width <= padded_K)
              add.template operator()<3>(part, n);
            else if constexpr (tail_vectors > 0)
              add.template operator()<tail_vectors>(part, n);
          }
      }
    }
  });
}

/// The same for one matrix.
template <class Exec, class Real, class Layout, class Loader, class Epilogue>
void matmul_transposed(const Exec& exec, int rows, const Loader& dy, Packed<const Real, Layout> w, Real* dx,
                       std::ptrdiff_t dx_stride, const Epilogue& epilogue) {
  matmul_transposed(exec, rows, dy, std::array{w}, dx, dx_stride, epilogue);
}

/// dW_part[k, n] += sum_r x[r, k] dy[r, part * N + n], and dbias_part[n] += sum_r dy[r, part * N + n] where it is not
/// null. x: a loader of rows of K numbers; dy: (rows, dy_stride).
template <class Exec, class Real, class Layout, std::size_t Parts, class Loader>
void add_weight_gradient(const Exec& exec, int rows, const Loader& x, const Real* dy, std::ptrdiff_t dy_stride,
                         std::array<Packed<Real, Layout>, Parts> dw, std::array<Real*, Parts> dbias) {
  using W = Packed<Real, Layout>;
  constexpr int K = W::K, L = lanes<Real>, M = tile_rows<Real>, width = W::panel, depth = gradient_rows(K);
  constexpr bool in_place = K <= 192 && RowsInPlace<Loader>;
  constexpr int stride = K + 64 / static_cast<int>(sizeof(Real));
  constexpr int tail_vectors = W::padded_N % width / L, part_panels = (W::padded_N + width - 1) / width;
  constexpr int panels = part_panels * static_cast<int>(Parts), tiles = (K + M - 1) / M;

  const int threads = workers(exec);
  const int cuts = panels % threads == 0 || panels >= 8 * threads ? 1 : std::min(threads, tiles);  // of a panel's rows

  for_ranges(exec, panels * cuts, [=](int begin, int end) {
    alignas(64) Real block[in_place ? 1 : depth * stride];
    alignas(64) Real columns[depth * width];
    for (int row = 0; row < rows; row += depth) {
      const int count = std::min(depth, rows - row);
      const Real* rows_of_x = block;
      std::ptrdiff_t x_stride = stride;
      if constexpr (in_place)
        rows_of_x = x.x + row * x.stride, x_stride = x.stride;
      else
        for (int r = 0; r < count; ++r) x.template load_row<K>(row + r, 0, block + r * stride);
      for (int item = begin; item < end; ++item) {
        const int p = item / cuts, cut = item % cuts, column = p % part_panels * width;
        const auto part = static_cast<std::size_t>(p / part_panels);
        const int used = std::min(width, W::N - column), k = tiles * cut / cuts * M;
        const int k_end = std::min(K, tiles * (cut + 1) / cuts * M);
        Real* to = dw[part].data_handle() + W::index(k, column);
        const auto add = [&]<int Vectors>() {
          if (item == begin || cut == 0)
            detail::pack_columns(count, dy + row * dy_stride + static_cast<std::ptrdiff_t>(part) * W::N + column,
                                 dy_stride, used, Vectors * L, columns,
                                 cut == 0 && dbias[part] ? dbias[part] + column : nullptr);
          detail::gradient_panel<Vectors>(count, rows_of_x + k, x_stride, columns, k_end - k, to);
        };
        if (tail_vectors == 0 || column + width <= W::padded_N)
          add.template operator()<3>();
        else if constexpr (tail_vectors > 0)
          add.template operator()<tail_vectors>();
      }
    }
  });
}

/// The same for one matrix.
template <class Exec, class Real, class Layout, class Loader>
void add_weight_gradient(const Exec& exec, int rows, const Loader& x, const Real* dy, std::ptrdiff_t dy_stride,
                         Packed<Real, Layout> dw, Real* dbias = nullptr) {
  add_weight_gradient(exec, rows, x, dy, dy_stride, std::array{dw}, std::array{dbias});
}

// --- The same, naively: for any execution space, yardstick of the tests and benchmarks, and the device path ---

/// As matmul_transposed, one thread an output.
template <class Exec, class Real, class Layout>
void matmul_transposed_naive(const Exec& exec, int rows, const Real* dy, std::ptrdiff_t dy_stride,
                             Packed<const Real, Layout> w, Real* dx, std::ptrdiff_t dx_stride) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {rows, Layout::K}), KOKKOS_LAMBDA(int r, int k) {
        Real sum = 0;
        for (int n = 0; n < Layout::N; ++n) sum += dy[r * dy_stride + n] * w(k, n);
        dx[r * dx_stride + k] = sum;
      });
}

/// As add_weight_gradient, one thread an entry of W.
template <class Exec, class Real, class Layout>
void add_weight_gradient_naive(const Exec& exec, int rows, const Real* x, std::ptrdiff_t x_stride, const Real* dy,
                               std::ptrdiff_t dy_stride, Packed<Real, Layout> dw, Real* dbias = nullptr) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {Layout::K, Layout::N}), KOKKOS_LAMBDA(int k, int n) {
        Real sum = 0, column = 0;
        for (int r = 0; r < rows; ++r)
          sum += x[r * x_stride + k] * dy[r * dy_stride + n], column += dy[r * dy_stride + n];
        dw(k, n) += sum;
        if (dbias && k == 0) dbias[n] += column;
      });
}

}  // namespace fieldstep::ops
