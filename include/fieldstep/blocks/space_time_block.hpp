#pragma once
#include <fieldstep/blocks/attention.hpp>
#include <fieldstep/blocks/axial_attention.hpp>

namespace fieldstep::blocks {

/// Attention in time, then attention in space with its MLP.
///   x: (batch, Frames, Rows, Columns, Dim)
/// Source: MPP's SpaceTimeBlock (models/mixed_modules.py), McCabe et al. 2023, arXiv:2310.02994.
template <class Real, int Dim, int Heads, int Frames, int Rows, int Columns,
          class Bias = RelativePositionBias<Real, Heads>>
struct SpaceTimeBlock {
  using Spatial = AxialAttentionBlock<Real, Dim, Heads, Rows, Columns, Bias>;
  using Temporal = AttentionBlock<Real, Dim, Heads, Frames, Rows, Columns, Bias>;

  template <class R>
  struct Params {
    typename Spatial::template Params<R> spatial;
    typename Temporal::template Params<R> temporal;
    using hana_accessors_impl = Fields<Field<"spatial", &Params::spatial>, Field<"temporal", &Params::temporal>>;
  };
  using Weights = Params<const Real>;

  /// The position biases of one block: functions of the weights and the boundary conditions only.
  struct BiasTables {
    Tensor<Real, Heads, Frames, Frames> temporal{nullptr};
    Tensor<Real, Heads, Columns, Columns> x{nullptr};
    Tensor<Real, Heads, Rows, Rows> y{nullptr};
    using hana_accessors_impl =
        Fields<Field<"temporal", &BiasTables::temporal>, Field<"x", &BiasTables::x>, Field<"y", &BiasTables::y>>;
  };

  /// Overwrites the tables. The time axis is always open.
  static void tables(const Weights& w, Boundary along_x, Boundary along_y, const BiasTables& bias) {
    Bias::template table<Frames>(w.temporal.rel_pos_bias, Boundary::open, bias.temporal.data_handle());
    Bias::template table<Columns>(w.spatial.rel_pos_bias, along_x, bias.x.data_handle());
    Bias::template table<Rows>(w.spatial.rel_pos_bias, along_y, bias.y.data_handle());
  }

  /// Factors of stochastic depth for the three branches, one a (batch, frame); null for 1.
  struct Keep {
    const Real* temporal = nullptr;
    const Real* spatial_att = nullptr;
    const Real* spatial_mlp = nullptr;
  };

  /// Overwrites x; with last_frame_only the result, (batch, Rows, Columns, Dim), goes to `last` and x is left alone.
  template <class Exec, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const BiasTables& bias, int batch, Real* x,
                      const BlockScratch<Real>& scratch, double layer_norm_eps = 1e-5, Real* last = nullptr,
                      const Keep& keep = {}, const Tracer& trace = {}) {
    Real* y = last ? last : x;
    Temporal::forward(exec, w.temporal, bias.temporal.data_handle(), batch, x, y, scratch, layer_norm_eps,
                      last != nullptr, keep.temporal, trace / "temporal");
    const int frames = last ? 1 : Frames;
    Spatial::forward(exec, w.spatial, bias.x.data_handle(), bias.y.data_handle(), batch * frames, y, scratch,
                     layer_norm_eps, keep.spatial_att, keep.spatial_mlp, trace / "spatial", frames);
  }
};

}  // namespace fieldstep::blocks
