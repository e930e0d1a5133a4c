#pragma once
#include <fieldstep/blocks/batch_norm.hpp>
#include <fieldstep/blocks/norm_backward.hpp>
#include <fieldstep/blocks/token_scratch.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/ops/epilogues.hpp>
#include <fieldstep/ops/matmul_backward.hpp>

#include <algorithm>
#include <concepts>
#include <cstring>

namespace fieldstep::blocks {

/// x + bn2(conv2(leaky_relu(bn1(conv1(x))))), both convolutions 3x3 with zeros around the grid.
///   x, y: (samples, Rows, Columns, Dim)
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

  /// What backward reads beside x: places that share scratch memory in inference.
  struct Saved {
    Real* convolved1;  ///< (tokens, Dim): before bn1
    Real* activated;   ///< (tokens, Dim)
    Real* convolved2;  ///< (tokens, Dim): before bn2

    static constexpr Saved take(Carver<Real>& from, int samples) {
      const std::size_t size = std::size_t{positions} * Dim * static_cast<std::size_t>(samples);
      return {from.take(size), from.take(size), from.take(size)};
    }
  };

  /// The 3x3 neighbourhood of a token; with direction -1 the tokens in whose neighbourhood it is.
  struct NeighbourhoodLoader {
    const Real* x;
    int direction = 1;
    template <int Depth>
    void load_row(int row, int k, Real* to) const {
      static_assert(Depth == kernel * kernel * Dim);
      const int sample = row / positions, i = row % positions / Columns, j = row % Columns;
      for (int n = k / Dim; n < kernel * kernel; ++n, to += Dim) {
        const int y = i + direction * (n / kernel - 1), x_ = j + direction * (n % kernel - 1);
        if (y < 0 || y >= Rows || x_ < 0 || x_ >= Columns)
          std::fill_n(to, Dim, Real(0));
        else
          std::memcpy(to, x + (static_cast<std::ptrdiff_t>(sample) * positions + y * Columns + x_) * Dim,
                      sizeof(Real) * Dim);
      }
    }
  };

  /// Stores x W times the slope of the leaky ReLU that `activated` went through.
  struct LeakySlopeEpilogue {
    const Real* activated;

    template <int L>
    [[gnu::always_inline]] auto columns(int column) const {
      return [at = activated + column](int row, ops::vec<Real, L> sums) {
        return ops::load<L>(at + static_cast<std::ptrdiff_t>(row) * Dim) > 0 ? sums : leak * sums;
      };
    }
  };

  /// Overwrites y, which may be x in inference. running: null in inference; in training, where batch statistics
  /// normalise, the parameters whose running statistics are brought up to date (they may be w's own).
  template <class Exec, class Save = NoSave>
  static void forward(const Exec& exec, const Weights& w, int samples, const Real* x, Real* y,
                      const TokenScratch<Real>& scratch, const Params<Real>* running = nullptr, const Save& save = {}) {
    const int tokens = samples * positions;
    const Saved at = [&] {
      if constexpr (std::same_as<Save, Saved>)
        return save;
      else
        return Saved{scratch.branch, scratch.branch, scratch.wide};
    }();
    const auto convolve = [&](const Real* from, const auto& weight, const auto& bias, Real* to) {
      ops::matmul(exec, tokens, NeighbourhoodLoader{from}, weight, to, Dim,
                  ops::BiasEpilogue<Real>{bias.data_handle()});
    };
    const auto norm = [&](const auto& weights, const Real* of, const Norm::template Params<Real>* statistics) {
      return statistics ? Norm::affine(exec, weights, tokens, of, scratch.affine, *statistics)
                        : Norm::affine(weights, scratch.affine);
    };
    convolve(x, w.conv1, w.conv1_bias, at.convolved1);
    apply(
        exec, tokens, at.convolved1, norm(w.bn1, at.convolved1, running ? &running->bn1 : nullptr),
        [](std::ptrdiff_t, Vec v) { return v < 0 ? leak * v : v; }, at.activated);
    convolve(at.activated, w.conv2, w.conv2_bias, at.convolved2);
    apply(
        exec, tokens, at.convolved2, norm(w.bn2, at.convolved2, running ? &running->bn2 : nullptr),
        [=](std::ptrdiff_t i, Vec v) { return ops::load<L>(x + i) + v; }, y);
  }

  /// Numbers that backward needs at least of GradientScratch.
  static constexpr std::size_t wide_size(int samples) { return static_cast<std::size_t>(samples) * positions * Dim; }
  static constexpr std::size_t partial_size(int) { return 0; }

  /// g: dL/dy on entry, dL/dx on return. Adds to dw. by_batch: whether batch statistics normalised.
  template <class Exec>
  static void backward(const Exec& exec, const Weights& w, int samples, const Real* x, const Saved& saved,
                       bool by_batch, Real* g, const Params<Real>& dw, const GradientScratch<Real>& scratch) {
    const int tokens = samples * positions;
    Real *dconvolved2 = scratch.branch, *dconvolved1 = scratch.wide;
    // The batch's mean takes a bias away again.
    Real* dbias1 = by_batch ? nullptr : dw.conv1_bias.data_handle();
    Real* dbias2 = by_batch ? nullptr : dw.conv2_bias.data_handle();
    const auto taps = [](const auto& weight) { return ops::row_groups<Dim>(weight); };

    Norm::backward(exec, w.bn2, tokens, by_batch, saved.convolved2, g, dconvolved2, dw.bn2);
    ops::add_weight_gradient(exec, tokens, NeighbourhoodLoader{saved.activated}, dconvolved2, Dim, dw.conv2, dbias2);
    ops::matmul_transposed(exec, tokens, NeighbourhoodLoader{dconvolved2, -1}, taps(w.conv2), dconvolved1, Dim,
                           LeakySlopeEpilogue{saved.activated});
    Norm::backward(exec, w.bn1, tokens, by_batch, saved.convolved1, dconvolved1, dconvolved1, dw.bn1);
    ops::add_weight_gradient(exec, tokens, NeighbourhoodLoader{x}, dconvolved1, Dim, dw.conv1, dbias1);
    ops::matmul_transposed(exec, tokens, NeighbourhoodLoader{dconvolved1, -1}, taps(w.conv1), g, Dim,
                           ops::AddEpilogue<Real>{g, Dim});
  }

 private:
  static constexpr Real leak = Real(0.01);
  static constexpr int L = ops::lanes_for<Real>(Dim);
  using Vec = ops::vec<Real, L>;

  /// y[i] = finish(i, scale x[i] + shift).
  template <class Exec, class Finish>
  static void apply(const Exec& exec, int tokens, const Real* x, const ops::ChannelAffine<Real>& affine,
                    const Finish& finish, Real* y) {
    for_ranges(exec, tokens, [=](int begin, int end) {
      for (int token = begin; token < end; ++token)
        for (int c = 0; c < Dim; c += L) {
          const std::ptrdiff_t i = static_cast<std::ptrdiff_t>(token) * Dim + c;
          const Vec v = ops::load<L>(affine.scale + c) * ops::load<L>(x + i) + ops::load<L>(affine.shift + c);
          ops::store<L>(y + i, finish(i, v));
        }
    });
  }
};

}  // namespace fieldstep::blocks
