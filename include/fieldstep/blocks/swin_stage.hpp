#pragma once
#include <fieldstep/blocks/swin_layer.hpp>

#include <array>
#include <cstddef>
#include <vector>

namespace fieldstep::blocks {

/// Where a stage is the last one and changes no resolution.
struct NoResampling {
  template <class R>
  using Params = NoParams;
};

namespace detail {

/// Fills what the layers of a stage need beside their weights.
template <class Layer, class Layers, class Prepared>
void prepare_layers(const Layers& layers, const Prepared& prepared) {
  for (std::size_t j = 0; j < prepared.size(); ++j) Layer::Attention::prepare(layers[j].attention, prepared[j]);
}

}  // namespace detail

/// A stage of the encoder: Depth layers, every other one with shifted windows, then the stage's input added and the
/// grid merged to the next coarser one.
///   Merging: PatchMerging or NoResampling; x, h: (samples, Rows, Columns, Dim); y: as Merging leaves it
/// Source: Poseidon's ScOTEncodeStage (scOT/model.py).
template <class Real, class Layer, int Depth, class Merging = NoResampling>
struct EncoderStage {
  template <class R>
  struct Params {
    std::array<typename Layer::template Params<R>, Depth> blocks;
    typename Merging::template Params<R> downsample;
    using hana_accessors_impl = Fields<Field<"blocks", &Params::blocks>, Field<"downsample", &Params::downsample>>;
  };
  using Weights = Params<const Real>;
  using Prepared = std::array<typename Layer::Prepared, Depth>;

  static void prepare(const Weights& w, const Prepared& prepared) { detail::prepare_layers<Layer>(w.blocks, prepared); }

  /// Overwrites h, the result of the layers, which is what the skip takes, and y, where there is a Merging. keep:
  /// NoKeep or a pointer to one SwinKeep a layer.
  template <class Exec, class Keep = NoKeep, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* time,
                      int shift, double eps, const Real* x, Real* h, Real* y, const TokenScratch<Real>& scratch,
                      const Keep& keep = {}, const Tracer& trace = {}) {
    for (int j = 0; j < Depth; ++j)
      Layer::forward(exec, w.blocks[static_cast<std::size_t>(j)], prepared[static_cast<std::size_t>(j)], samples, time,
                     j % 2 == 0 ? 0 : shift, eps, j == 0 ? x : h, h, scratch, keep[j], trace / "blocks" / j);
    if constexpr (requires { Merging::rows; })
      Merging::forward(exec, w.downsample, samples, time, x, h, y, scratch.affine, trace / "downsample");
    if constexpr (Tracer::active) {
      if constexpr (requires { Merging::rows; })
        trace("", "bpc", {samples, Merging::rows * Merging::columns, 2 * Layer::dim}, y);
      else
        trace("", "bpc", {samples, Layer::positions, Layer::dim}, h);
    }
  }
};

/// A stage of the decoder: Depth layers, the last one never with shifted windows, then the grid unmerged to the next
/// finer one and added to the skip there.
///   Unmerging: PatchUnmerging or NoResampling; h: (samples, Rows, Columns, Dim)
/// Source: Poseidon's ScOTDecodeStage (scOT/model.py).
template <class Real, class Layer, int Depth, class Unmerging = NoResampling>
struct DecoderStage {
  template <class R>
  struct Params {
    std::array<typename Layer::template Params<R>, Depth> blocks;
    typename Unmerging::template Params<R> upsample;
    using hana_accessors_impl = Fields<Field<"blocks", &Params::blocks>, Field<"upsample", &Params::upsample>>;
  };
  using Weights = Params<const Real>;
  using Prepared = std::array<typename Layer::Prepared, Depth>;

  static void prepare(const Weights& w, const Prepared& prepared) { detail::prepare_layers<Layer>(w.blocks, prepared); }

  /// Overwrites h and adds to skip, where there is an Unmerging. keep: as in EncoderStage.
  template <class Exec, class Keep = NoKeep, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* time,
                      int shift, double eps, Real* h, Real* skip, const TokenScratch<Real>& scratch,
                      const Keep& keep = {}, const Tracer& trace = {}) {
    for (int j = 0; j < Depth; ++j)
      Layer::forward(exec, w.blocks[static_cast<std::size_t>(j)], prepared[static_cast<std::size_t>(j)], samples, time,
                     (Depth - 1 - j) % 2 == 0 ? 0 : shift, eps, h, h, scratch, keep[j], trace / "blocks" / j);
    if constexpr (requires { Unmerging::half; })
      Unmerging::forward(exec, w.upsample, samples, time, h, skip, scratch.wide, scratch.affine, trace / "upsample");
    if constexpr (Tracer::active) {
      if constexpr (requires { Unmerging::half; }) {
        std::vector<Real> finer(static_cast<std::size_t>(samples) * Unmerging::positions * Unmerging::half);
        Unmerging::forward(exec, w.upsample, samples, time, h, finer.data(), scratch.wide, scratch.affine);
        trace("", "bpc", {samples, Unmerging::positions, Unmerging::half}, finer.data());
      } else {
        trace("", "bpc", {samples, Layer::positions, Layer::dim}, h);
      }
    }
  }
};

}  // namespace fieldstep::blocks
