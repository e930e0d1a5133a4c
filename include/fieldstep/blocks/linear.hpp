#pragma once
#include <fieldstep/core/params.hpp>
#include <fieldstep/ops/epilogues.hpp>
#include <fieldstep/ops/matmul.hpp>

namespace fieldstep::blocks {

/// y[r] = x[r] W + bias over the last axis; also a 1x1 convolution of channels-last tokens.
///   x: (rows, In), y: (rows, Out)
/// Layout says how the original stores W; a Linear's (Out, In) is the default.
/// Source: torch.nn.Linear.
template <class Real, int In, int Out, class WeightLayout = LinearLayout<In, Out>,
          class BiasLayout = MatrixLayout<Shape<Out>, Shape<Out>, Axes<0>, Axes<>>>
struct Linear {
  static_assert(WeightLayout::K == In && WeightLayout::N == Out, "Linear: the weight's layout must be In x Out");

  template <class R>
  struct Params {
    Packed<R, WeightLayout> weight;
    Packed<R, BiasLayout> bias;  ///< in the order of the output's channels
    using hana_accessors_impl =
        Fields<Field<"weight", &Params::weight, init_weight(In)>, Field<"bias", &Params::bias, init_bias(In)>>;
  };
  using Weights = Params<const Real>;

  /// Overwrites y.
  template <class Exec>
  static void forward(const Exec& exec, const Weights& w, Batched<const Real, In> x, Batched<Real, Out> y) {
    ops::matmul(exec, x.extent(0), ops::RowsLoader<Real>{x.data_handle(), In}, w.weight, y.data_handle(), Out,
                ops::BiasEpilogue<Real>{w.bias.data_handle()});
  }
};

/// The projection to queries, keys and values. MPP stores the channels head by head (q, k, v of head 0, then of head
/// 1); here they come out part by part, (3, Heads, HeadDim), so that one part can be computed for a subset of the
/// tokens.
template <class Real, int Dim, int Heads>
using QkvLinear =
    Linear<Real, Dim, 3 * Dim,
           MatrixLayout<Shape<3 * Dim, Dim, 1, 1>, Shape<Heads, 3, Dim / Heads, Dim>, Axes<1, 0, 2>, Axes<3>>,
           MatrixLayout<Shape<3 * Dim>, Shape<Heads, 3, Dim / Heads>, Axes<1, 0, 2>, Axes<>>>;

/// A 1x1 convolution, stored (Out, In, 1, 1).
template <class Real, int In, int Out>
using PointwiseConv = Linear<Real, In, Out, MatrixLayout<Shape<Out, In, 1, 1>, Shape<Out, In>, Axes<0>, Axes<1>>>;

}  // namespace fieldstep::blocks
