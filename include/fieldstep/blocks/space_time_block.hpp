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

  /// Adds the gradient of the tables to dw.
  static void tables_backward(const Weights& w, Boundary along_x, Boundary along_y, const BiasTables& dbias,
                              const Params<Real>& dw) {
    Bias::template backward<Frames>(w.temporal.rel_pos_bias, Boundary::open, dbias.temporal.data_handle(),
                                    dw.temporal.rel_pos_bias);
    Bias::template backward<Columns>(w.spatial.rel_pos_bias, along_x, dbias.x.data_handle(), dw.spatial.rel_pos_bias);
    Bias::template backward<Rows>(w.spatial.rel_pos_bias, along_y, dbias.y.data_handle(), dw.spatial.rel_pos_bias);
  }

  /// Factors of stochastic depth for the three branches, one a (batch, frame) of y; null for 1.
  struct Keep {
    const Real* temporal = nullptr;
    const Real* spatial_att = nullptr;
    const Real* spatial_mlp = nullptr;
  };

  /// What backward reads beside x.
  struct Saved {
    typename Temporal::Saved temporal;
    Real* between;  ///< the result of attention in time
    typename Spatial::Saved spatial;

    static constexpr Saved take(Carver<Real>& from, int batch, bool last_frame_only = false) {
      const int samples = last_frame_only ? batch : batch * Frames;
      return {.temporal = Temporal::Saved::take(from, batch, last_frame_only),
              .between = from.take(static_cast<std::size_t>(samples) * Rows * Columns * Dim),
              .spatial = Spatial::Saved::take(from, samples)};
    }
  };

  /// Overwrites y, which may be x in inference unless last_frame_only: then it is (batch, Rows, Columns, Dim).
  template <class Exec, class Save = NoSave, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const BiasTables& bias, int batch, const Real* x, Real* y,
                      const BlockScratch<Real>& scratch, double layer_norm_eps = 1e-5, bool last_frame_only = false,
                      const Keep& keep = {}, const Save& save = {}, const Tracer& trace = {}) {
    const int frames = last_frame_only ? 1 : Frames;
    const auto run = [&](Real* between, const auto& temporal, const auto& spatial) {
      Temporal::forward(exec, w.temporal, bias.temporal.data_handle(), batch, x, between, scratch, layer_norm_eps,
                        last_frame_only, keep.temporal, temporal, trace / "temporal");
      Spatial::forward(exec, w.spatial, bias.x.data_handle(), bias.y.data_handle(), batch * frames, between, y, scratch,
                       layer_norm_eps, keep.spatial_att, keep.spatial_mlp, spatial, trace / "spatial", frames);
    };
    if constexpr (std::same_as<Save, Saved>)
      run(save.between, save.temporal, save.spatial);
    else
      run(y, NoSave(), NoSave());
  }

  /// Numbers that backward needs at least of GradientScratch::partial.
  static constexpr std::size_t partial_size(int batch) {
    return std::max(Temporal::partial_size(batch), Spatial::partial_size(batch * Frames));
  }

  /// g: dL/dy on entry, used up. Overwrites dx, which may be g unless last_frame_only; adds to dw and to dbias, the
  /// gradient of the tables.
  template <class Exec, class Tracer = NoTrace>
  static void backward(const Exec& exec, const Weights& w, const BiasTables& bias, int batch, const Real* x,
                       const Saved& saved, Real* g, Real* dx, const Params<Real>& dw, const BiasTables& dbias,
                       const GradientScratch<Real>& scratch, double layer_norm_eps = 1e-5, bool last_frame_only = false,
                       const Keep& keep = {}, const Tracer& trace = {}) {
    const int frames = last_frame_only ? 1 : Frames;
    const auto show = [&](const char* name) {
      if constexpr (Tracer::active) trace(name, "btijc", {batch, frames, Rows, Columns, Dim}, g);
    };
    show("spatial");
    Spatial::backward(exec, w.spatial, bias.x.data_handle(), bias.y.data_handle(), batch * frames, saved.between,
                      saved.spatial, g, dw.spatial, dbias.x.data_handle(), dbias.y.data_handle(), scratch,
                      layer_norm_eps, keep.spatial_att, keep.spatial_mlp);
    show("temporal");
    Temporal::backward(exec, w.temporal, bias.temporal.data_handle(), batch, x, saved.temporal, g, dx, dw.temporal,
                       dbias.temporal.data_handle(), scratch, layer_norm_eps, last_frame_only, keep.temporal);
  }
};

}  // namespace fieldstep::blocks
