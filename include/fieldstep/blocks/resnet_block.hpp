#pragma once
#include <fieldstep/blocks/batch_norm.hpp>
#include <fieldstep/blocks/token_scratch.hpp>
#include <fieldstep/ops/epilogues.hpp>
#include <fieldstep/ops/matmul.hpp>

#include <algorithm>
#include <cstring>

namespace fieldstep::blocks {

/// x + bn2(conv2(leaky_relu(bn1(conv1(x))))), both convolutions 3x3 with zeros around the grid.
///   x: (samples, Rows, Columns, Dim)
/// Source: He et al. 2016, arXiv:1512.03385, with slope 0.01 and nothing after the sum; Poseidon's `resnet` on the
/// skips of ScOT (scOT/model.py).
template <class Real, int Dim, int Rows, int Columns>
struct ResNetBlock {
  static constexpr int kernel = 3, positions = Rows * Columns;
  using Norm = BatchNorm<Real, Dim>;
  using Layout = MatrixLayout<Shape<Dim, Dim, kernel, kernel>, Shape<Dim, Dim, kernel, kernel>, Axes<0>,
                              Axes<2, 3, 1>>;  // k = (a, b, channel)

  template <class R>
  struct Params {
    Packed<R, Layout> conv1;
    Tensor<R, Dim> conv1_bias{nullptr};
    Packed<R, Layout> conv2;
    Tensor<R, Dim> conv2_bias{nullptr};
    typename Norm::template Params<R> bn1, bn2;
    using hana_accessors_impl = Fields<Field<"conv1.weight", &Params::conv1, init_normal(0.02, kernel* kernel* Dim)>,
                                       Field<"conv1.bias", &Params::conv1_bias, init_constant(0)>,
                                       Field<"conv2.weight", &Params::conv2, init_normal(0.02, kernel* kernel* Dim)>,
                                       Field<"conv2.bias", &Params::conv2_bias, init_constant(0)>,
                                       Field<"bn1", &Params::bn1>, Field<"bn2", &Params::bn2>>;
  };
  using Weights = Params<const Real>;

  /// The 3x3 neighbourhood of a token.
  struct NeighbourhoodLoader {
    const Real* x;
    template <int Depth>
    void load_row(int row, int k, Real* to) const {
      static_assert(Depth == kernel * kernel * Dim);
      const int sample = row / positions, i = row % positions / Columns, j = row % Columns;
      for (int n = k / Dim; n < kernel * kernel; ++n, to += Dim) {
        const int y = i + n / kernel - 1, x_ = j + n % kernel - 1;
        if (y < 0 || y >= Rows || x_ < 0 || x_ >= Columns)
          std::fill_n(to, Dim, Real(0));
        else
          std::memcpy(to, x + (static_cast<std::ptrdiff_t>(sample) * positions + y * Columns + x_) * Dim,
                      sizeof(Real) * Dim);
      }
    }
  };

  /// Overwrites x. running: null in inference; in training, where batch statistics normalise, the parameters whose
  /// running statistics are brought up to date (they may be w's own).
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, int samples, Real* x, const TokenScratch<Real>& scratch,
                      const Params<Real>* running = nullptr) {
    const int tokens = samples * positions;
    const auto convolve = [&](const Real* from, const auto& weight, const auto& bias, Real* to) {
      ops::matmul(exec, tokens, NeighbourhoodLoader{from}, weight, to, Dim,
                  ops::BiasEpilogue<Real>{bias.data_handle()});
    };
    const auto norm = [&](const auto& weights, const Real* of, const Norm::template Params<Real>* statistics) {
      return statistics ? Norm::affine(exec, weights, tokens, of, scratch.affine, *statistics)
                        : Norm::affine(weights, scratch.affine);
    };
    convolve(x, w.conv1, w.conv1_bias, scratch.branch);
    apply(
        exec, tokens, scratch.branch, norm(w.bn1, scratch.branch, running ? &running->bn1 : nullptr),
        [](Real v, Real) { return v < 0 ? Real(0.01) * v : v; }, scratch.branch);
    convolve(scratch.branch, w.conv2, w.conv2_bias, scratch.wide);
    apply(
        exec, tokens, scratch.wide, norm(w.bn2, scratch.wide, running ? &running->bn2 : nullptr),
        [](Real v, Real before) { return before + v; }, x);
  }

 private:
  /// y = finish(scale x + shift, y).
  template <class Exec, class Finish>
  static void apply(const Exec& exec, int tokens, const Real* x, const ops::ChannelAffine<Real>& affine,
                    const Finish& finish, Real* y) {
    for_ranges(exec, tokens, [=](int begin, int end) {
      for (int token = begin; token < end; ++token) {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(token) * Dim;
        for (int c = 0; c < Dim; ++c) y[at + c] = finish(affine.scale[c] * x[at + c] + affine.shift[c], y[at + c]);
      }
    });
  }
};

}  // namespace fieldstep::blocks
