#pragma once
#include <fieldstep/ops/image_conv.hpp>
#include <fieldstep/ops/matmul.hpp>  // tile_rows
#include <fieldstep/ops/partial_sums.hpp>

// Gradient of the weights and the bias of a convolution (image_conv.hpp),
//   dweight[o, c, t] += sum_{s,p} dy[s, p, o] x[s, p + t - before, c],   dbias[o] += sum_{s,p} dy[s, p, o]
// A block of lines is the work of one thread: line by line, a tile of weights stays in registers while the pixels pass
// by, one operand broadcast. Every block has sums of its own, joined in order: the bits do not depend on the threads.
namespace fieldstep::ops {

/// Sums of a block: those of the weights, (rows, width), then those of the bias. Where dy fills vectors they are
/// (taps x inputs, outputs) in panels of a tile's vectors, else (outputs x taps, inputs).
template <class X, class Dy, int Kernel>
struct ConvGradient {
  using Real = typename X::Real;
  static_assert(X::vectors || Dy::vectors, "ConvGradient: inputs or outputs must fill vectors; see planar_conv.hpp");
  using Frame = typename X::Frame;
  static constexpr auto kernel = detail::three_axes(typename Frame::Points(), Kernel, 1);
  static constexpr int taps = kernel[0] * kernel[1] * kernel[2], inputs = X::Channels, outputs = Dy::Channels;
  static constexpr bool vectors = Dy::vectors;  ///< whose lanes are outputs
  static constexpr int rows = taps * (vectors ? inputs : 1), width = vectors ? Dy::stride : X::stride;
  static constexpr int tile = detail::tile_vectors(width / lanes<Real>) * lanes<Real>;
  static constexpr int weight_sums = rows * width * (vectors ? 1 : outputs);
  static constexpr int sums = weight_sums + whole_vectors<Real>(outputs);
  /// Pixels of a line that pass through the sums together: with all their taps they fit L1.
  static constexpr int segment = Frame::columns <= 192 ? Frame::columns : 128;
  /// Lines of a block: about a thousand pixels.
  static constexpr int block = std::max(1, 1024 / Frame::columns);

  static constexpr int blocks(int samples) { return (samples * Frame::lines + block - 1) / block; }
  static constexpr std::size_t scratch_size(int samples) { return static_cast<std::size_t>(blocks(samples)) * sums; }

  /// Where the sum of dweight[o, c, t] stands.
  static constexpr int place(int o, int c, int t) {
    if (vectors) return o / tile * rows * tile + (t * inputs + c) * tile + o % tile;
    return (o * (width / tile) + c / tile) * rows * tile + t * tile + c % tile;
  }
  /// Numbers from the window's first pixel to what row k of the sums reads of x.
  static constexpr std::ptrdiff_t offset(int k) {
    const int t = vectors ? k / inputs : k, a = t / (kernel[1] * kernel[2]), b = t / kernel[2] % kernel[1];
    return (std::ptrdiff_t{a * Frame::height + b} * Frame::width + t % kernel[2]) * X::stride +
           (vectors ? k % inputs : 0);
  }
};

namespace detail {

/// sums[m][v] += sum_j x[rows[m] + j] dy[j]: a tile of Rows x V vectors over `pixels` of a line. The lanes are those of
/// x or of dy.
template <class G, bool LanesOfX, int Rows, int V, class X, class Dy, class Real>
[[gnu::always_inline]] inline void conv_gradient_tile(int pixels, const Real* __restrict x, const Real* __restrict dy,
                                                      int row, Real* __restrict sums) {
  constexpr int L = lanes<Real>;
  const Real* from[Rows];
#pragma GCC unroll 16
  for (int m = 0; m < Rows; ++m) from[m] = x + G::offset(row + m);
  vec<Real, L> acc[Rows][V] = {};
  for (int j = 0; j < pixels; ++j) {
    if constexpr (LanesOfX) {
      const vec<Real, L> g = broadcast<L>(dy[j * Dy::stride]);
#pragma GCC unroll 16
      for (int m = 0; m < Rows; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v)
          acc[m][v] = multiply_add<Real, L>(load<L>(from[m] + j * X::stride + v * L), g, acc[m][v]);
    } else {
      vec<Real, L> g[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) g[v] = load<L>(dy + j * Dy::stride + v * L);
#pragma GCC unroll 16
      for (int m = 0; m < Rows; ++m) {
        const vec<Real, L> here = broadcast<L>(from[m][j * X::stride]);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[m][v] = multiply_add<Real, L>(here, g[v], acc[m][v]);
      }
    }
  }
  sums += row * V * L;
#pragma GCC unroll 16
  for (int m = 0; m < Rows; ++m)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v, sums += L) store<L>(sums, load<L>(sums) + acc[m][v]);
}

/// All rows of a panel of the sums.
template <class G, class X, class Dy, class Real>
[[gnu::noinline]] void conv_gradient_panel(int pixels, const Real* x, const Real* dy, Real* sums) {
  constexpr int V = G::tile / lanes<Real>, M = V == 1 ? 2 * tile_rows<Real> : tile_rows<Real>;
  constexpr bool of_x = !G::vectors;
  int row = 0;
  for (; row + M <= G::rows; row += M) conv_gradient_tile<G, of_x, M, V, X, Dy>(pixels, x, dy, row, sums);
  if constexpr (G::rows % M > 0)
    for (; row < G::rows; ++row) conv_gradient_tile<G, of_x, 1, V, X, Dy>(pixels, x, dy, row, sums);
}

/// The sums of dy's channels over a line.
template <class Dy, class Real>
void add_bias_line(const Real* dy, Real* sums) {
  constexpr int L = Dy::vectors ? lanes<Real> : 1;
  for (int o = 0; o < Dy::stride; o += L) {
    vec<Real, L> total = load<L>(sums + o);
    for (int j = 0; j < Dy::Frame::columns; ++j) total += load<L>(dy + j * Dy::stride + o);
    store<L>(sums + o, total);
  }
}

}  // namespace detail

/// Adds to dweight (outputs, inputs, taps) and to dbias (outputs), which may be null. x and dy in their frames, x's
/// leading by as much as the first tap lies before its point; scratch: G::scratch_size.
template <class X, class Dy, int Kernel, class Exec, class Real>
void add_conv_gradient(const Exec& exec, int samples, const Real* x, const Real* dy, Real* dweight, Real* dbias,
                       Real* scratch) {
  using G = ConvGradient<X, Dy, Kernel>;
  using Frame = typename G::Frame;
  const auto blocks = [=](int begin, int end) {
    for (int item = begin; item < end; ++item) {
      Real* sums = scratch + std::ptrdiff_t{item} * G::sums;
      std::fill_n(sums, G::sums, Real(0));
      const int last = std::min(samples * Frame::lines, (item + 1) * G::block);
      for (int n = item * G::block; n < last; ++n) {
        const Real* from = x + n / Frame::lines * X::size + std::ptrdiff_t{Frame::window(n % Frame::lines)} * X::stride;
        const Real* g = Dy::line(dy, n);
        for (int j = 0; j < Frame::columns; j += G::segment) {
          const int pixels = std::min(G::segment, Frame::columns - j);
          const Real *x_here = from + j * X::stride, *dy_here = g + j * Dy::stride;
          Real* to = sums;
          for (int o = 0; o < (G::vectors ? 1 : G::outputs); ++o)
            for (int first = 0; first < G::width; first += G::tile, to += G::rows * G::tile)
              detail::conv_gradient_panel<G, X, Dy>(pixels, x_here + (G::vectors ? 0 : first),
                                                    dy_here + (G::vectors ? first : o), to);
        }
        if (dbias) detail::add_bias_line<Dy>(g, sums + G::weight_sums);
      }
    }
  };
  constexpr int least = 1 + static_cast<int>(50'000 / (std::size_t{G::block} * Frame::columns * G::weight_sums));
  for_ranges(exec, G::blocks(samples), blocks, least);
  add_rows<G::sums>(exec, G::blocks(samples) - 1, scratch + G::sums, G::sums, static_cast<const Real*>(nullptr),
                    scratch);
  for (int o = 0; o < G::outputs; ++o) {
    for (int c = 0; c < G::inputs; ++c)
      for (int t = 0; t < G::taps; ++t) *dweight++ += scratch[G::place(o, c, t)];
    if (dbias) dbias[o] += scratch[G::weight_sums + o];
  }
}

}  // namespace fieldstep::ops
