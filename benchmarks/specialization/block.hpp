#pragma once
#include <fieldstep/ops/vec.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>

// MPP's spatial block (blocks/axial_attention.hpp) on one thread, written once for extents that are either constants,
// Fixed<192>{}, or plain ints. fixed.cpp and free.cpp compile it both ways.
namespace fieldstep::benchmarks::specialization {

/// An extent that is part of a type.
template <int N>
struct Fixed {
  constexpr operator int() const { return N; }
};
template <int A, int B>
constexpr Fixed<A * B> operator*(Fixed<A>, Fixed<B>) {
  return {};
}
template <int A, int B>
constexpr Fixed<A / B> operator/(Fixed<A>, Fixed<B>) {
  return {};
}

/// The block's parameters, matrices packed as core/packed.hpp says; biases of the positions (heads, length, length).
struct Weights {
  const float *norm1, *qkv, *qkv_bias, *qnorm_weight, *qnorm_bias, *knorm_weight, *knorm_bias;
  const float *bias_x, *bias_y, *norm2, *out, *out_bias, *gamma_att;
  const float *fc1, *fc1_bias, *fc2, *fc2_bias, *mlp_norm, *gamma_mlp;
};

constexpr int L = ops::lanes<float>;
using Vec = ops::vec<float, L>;

/// y = finish(x W, column) for Rows rows and Vectors vectors of columns; sums over k0 .. k0 + depth are added to y
/// first.
template <int Rows, int Vectors, class K, class N, class Depth, class Finish>
[[gnu::always_inline]] inline void tile(K k_extent, N n_extent, Depth depth, int k0, const float* x, const float* w,
                                        float* y, int column, const Finish& finish) {
  const int terms = depth, stride = k_extent;  // plain ints in the loop, or g++ does not see how to unroll it
  Vec acc[Rows][Vectors] = {};
#pragma GCC unroll 2
  for (int k = 0; k < terms; ++k) {
    Vec b[Vectors];
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) b[j] = ops::load<L>(w + ((k0 + k) * Vectors + j) * L);
#pragma GCC unroll 4
    for (int i = 0; i < Rows; ++i) {
      const Vec a = ops::broadcast<L>(x[i * stride + k0 + k]);
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) acc[i][j] = ops::multiply_add<float, L>(a, b[j], acc[i][j]);
    }
  }
  const bool first = k0 == 0, last = k0 + terms == stride;
#pragma GCC unroll 4
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) {
      float* to = y + i * n_extent + column + j * L;
      if (!first) acc[i][j] += ops::load<L>(to);
      ops::store<L>(to, last ? finish(acc[i][j], column + j * L) : acc[i][j]);
    }
}

template <int Vectors, class K, class N, class Finish>
[[gnu::noinline]] void panel(int rows, K k, N n, const float* x, const float* w, float* y, int column,
                             const Finish& finish) {
  const auto pass = [&](auto depth) {
    for (int k0 = 0; k0 < k; k0 += depth) {
      int r = 0;
      for (; r + 4 <= rows; r += 4) tile<4, Vectors>(k, n, depth, k0, x + r * k, w, y + r * n, column, finish);
      for (; r < rows; ++r) tile<1, Vectors>(k, n, depth, k0, x + r * k, w, y + r * n, column, finish);
    }
  };
  if (k % 256 == 0)
    pass(Fixed<256>{});  // what stays in L1
  else
    pass(k);
}

/// y (rows, N) = finish(x (rows, K) W); N a multiple of the vector.
template <class K, class N, class Finish>
void product(int rows, K k, N n, const float* x, const float* w, float* y, const Finish& finish) {
  for (int column = 0; column < n; column += 3 * L) {
    const float* of_panel = w + static_cast<std::ptrdiff_t>(column) * k;
    const int vectors = std::min(3, (n - column) / L);
    if (vectors == 3)
      panel<3>(rows, k, n, x, of_panel, y, column, finish);
    else if (vectors == 2)
      panel<2>(rows, k, n, x, of_panel, y, column, finish);
    else
      panel<1>(rows, k, n, x, of_panel, y, column, finish);
  }
}

/// y = weight x / sigma over the positions of a sample.
template <class Positions, class Dim>
void norm(int samples, Positions positions, Dim dim, const float* weight, const float* x, float* y) {
  for (int s = 0; s < samples; ++s, x += positions * dim, y += positions * dim)
    for (int c = 0; c < dim; c += L) {
      Vec mean{}, squares{};
      for (int p = 0; p < positions; ++p) mean += ops::load<L>(x + p * dim + c);
      mean /= static_cast<float>(positions);
      for (int p = 0; p < positions; ++p) {
        const Vec d = ops::load<L>(x + p * dim + c) - mean;
        squares += d * d;
      }
      Vec scale = ops::load<L>(weight + c);
      for (int l = 0; l < L; ++l) scale[l] /= std::sqrt(squares[l] / static_cast<float>(positions - 1)) + 1e-8f;
      for (int p = 0; p < positions; ++p) ops::store<L>(y + p * dim + c, ops::load<L>(x + p * dim + c) * scale);
    }
}

/// The channels of one head in vectors. With constant extents they become registers.
constexpr int most_vectors = 128 / L;

/// Layer norm over the channels of every head of q or k.
template <class Dim, class Heads>
void head_norm(int tokens, Dim dim, Heads heads, const float* weight, const float* bias, float* x) {
  const int d = dim / heads, vectors = d / L;
  for (int token = 0; token < tokens; ++token)
    for (int head = 0; head < heads; ++head) {
      float* at = x + token * 3 * dim + head * d;
      Vec v[most_vectors], total{}, squares{};
      for (int c = 0; c < vectors; ++c) total += v[c] = ops::load<L>(at + c * L);
      const float mean = ops::sum<float, L>(total) / static_cast<float>(d);
      for (int c = 0; c < vectors; ++c) v[c] -= mean, squares += v[c] * v[c];
      const float rstd = 1 / std::sqrt(ops::sum<float, L>(squares) / static_cast<float>(d) + 1e-5f);
      for (int c = 0; c < vectors; ++c)
        ops::store<L>(at + c * L, v[c] * rstd * ops::load<L>(weight + c * L) + ops::load<L>(bias + c * L));
    }
}

/// out += half the attention of one query over `length_` keys that lie `stride` numbers apart.
template <class Length, class HeadDim>
void attend(Length length_, HeadDim d, const float* q, const float* k, const float* v, std::ptrdiff_t stride,
            const float* bias, float* score, float* out) {
  const int length = length_, vectors = d / L;
  const float scale = 1 / std::sqrt(static_cast<float>(d));
  Vec query[most_vectors], o[most_vectors];
  for (int c = 0; c < vectors; ++c) query[c] = ops::load<L>(q + c * L), o[c] = Vec{};
  for (int j = length; j < length + L; ++j) score[j] = -1e30f;
  for (int j = 0; j < length; ++j) {
    Vec dot{};
    for (int c = 0; c < vectors; ++c) dot += query[c] * ops::load<L>(k + j * stride + c * L);
    score[j] = ops::sum<float, L>(dot) * scale + bias[j];
  }
  float highest = score[0];
  for (int j = 1; j < length; ++j) highest = std::max(highest, score[j]);
  Vec total{};
  for (int j = 0; j < length; j += L) {
    const Vec e = ops::exp<float, L>(ops::load<L>(score + j) - highest);
    ops::store<L>(score + j, e);
    total += e;
  }
  for (int j = 0; j < length; ++j)
    for (int c = 0; c < vectors; ++c) o[c] += score[j] * ops::load<L>(v + j * stride + c * L);
  const float share = .5f / ops::sum<float, L>(total);
  for (int c = 0; c < vectors; ++c) ops::store<L>(out + c * L, ops::load<L>(out + c * L) + o[c] * share);
}

template <class Rows, class Columns, class Dim, class Heads>
void attention(int samples, Rows rows, Columns columns, Dim dim, Heads heads, const float* qkv, const float* bias_x,
               const float* bias_y, float* score, float* out) {
  const auto d = dim / heads;
  std::fill_n(out, samples * rows * columns * dim, 0.f);
  for (int s = 0; s < samples; ++s, qkv += rows * columns * 3 * dim, out += rows * columns * dim)
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j)
        for (int head = 0; head < heads; ++head) {
          const auto token = [&](int row, int column) { return qkv + (row * columns + column) * 3 * dim + head * d; };
          float* to = out + (i * columns + j) * dim + head * d;
          attend(columns, d, token(i, j), token(i, 0) + dim, token(i, 0) + 2 * dim, 3 * dim,
                 bias_x + (head * columns + j) * columns, score, to);
          attend(rows, d, token(i, j), token(0, j) + dim, token(0, j) + 2 * dim, columns * 3 * dim,
                 bias_y + (head * rows + i) * rows, score, to);
        }
}

/// Numbers of scratch.
constexpr std::size_t scratch_size(int samples, int rows, int columns, int dim) {
  return static_cast<std::size_t>(samples * rows * columns) * static_cast<std::size_t>(6 * dim) +
         static_cast<std::size_t>(rows + columns + 2 * L);
}

/// Overwrites x (samples, rows, columns, dim).
template <class Rows, class Columns, class Dim, class Heads>
void block(int samples, Rows rows, Columns columns, Dim dim, Heads heads, const Weights& w, float* x, float* scratch) {
  const auto positions = rows * columns;
  const int tokens = samples * positions;
  float *normalised = scratch, *qkv = normalised + tokens * dim, *attended = qkv + 3 * tokens * dim, *hidden = qkv;
  float* score = attended + 2 * tokens * dim;
  const auto plus = [](const float* bias) {
    return [bias](Vec sums, int column) { return sums + ops::load<L>(bias + column); };
  };
  const auto add = [&](const float* branch, const float* gamma) {
    for (int token = 0; token < tokens; ++token)
      for (int c = 0; c < dim; c += L)
        ops::store<L>(x + token * dim + c, ops::load<L>(x + token * dim + c) +
                                               ops::load<L>(gamma + c) * ops::load<L>(branch + token * dim + c));
  };
  norm(samples, positions, dim, w.norm1, x, normalised);
  product(tokens, dim, Fixed<3>{} * dim, normalised, w.qkv, qkv, plus(w.qkv_bias));
  head_norm(tokens, dim, heads, w.qnorm_weight, w.qnorm_bias, qkv);
  head_norm(tokens, dim, heads, w.knorm_weight, w.knorm_bias, qkv + dim);
  attention(samples, rows, columns, dim, heads, qkv, w.bias_x, w.bias_y, score, attended);
  norm(samples, positions, dim, w.norm2, attended, normalised);
  product(tokens, dim, dim, normalised, w.out, attended, plus(w.out_bias));
  add(attended, w.gamma_att);
  product(tokens, dim, Fixed<4>{} * dim, x, w.fc1, hidden,
          [&](Vec sums, int column) { return ops::gelu<float, L>(sums + ops::load<L>(w.fc1_bias + column)); });
  product(tokens, Fixed<4>{} * dim, dim, hidden, w.fc2, normalised, plus(w.fc2_bias));
  norm(samples, positions, dim, w.mlp_norm, normalised, normalised);
  add(normalised, w.gamma_mlp);
}

}  // namespace fieldstep::benchmarks::specialization
