#pragma once
#include <fieldstep/blocks/swin_layer.hpp>
#include <fieldstep/ops/add.hpp>

#include <array>
#include <cstddef>
#include <vector>

namespace fieldstep::blocks {

/// Where a stage is the last one and changes no resolution.
struct NoResampling {
  template <class R>
  using Params = NoParams;
  struct Saved {
    static constexpr Saved take(auto&, int) { return {}; }
  };
};

/// The layers of a stage, one after the other, and what they keep for the backward pass.
///   x, h: (samples, Rows, Columns, Dim)
/// Source: the loops of Poseidon's ScOTEncodeStage and ScOTDecodeStage (scOT/model.py).
template <class Real, class Layer, int Depth>
struct SwinLayers {
  template <class R>
  using Params = std::array<typename Layer::template Params<R>, Depth>;
  using Weights = Params<const Real>;
  using Prepared = std::array<typename Layer::Prepared, Depth>;

  /// Which layers shift their windows: every other one, counted from the first or from the last, which do not.
  enum class Shifted { odd_from_first, odd_from_last };

  template <class Exec>
  static void prepare(const Exec& exec, const Weights& w, const Prepared& prepared) {
    for (std::size_t j = 0; j < Depth; ++j) Layer::Attention::prepare(exec, w[j].attention, prepared[j]);
  }
  template <class Exec, class Tracer>
  static void prepare_backward(const Exec& exec, const Weights& w, const Prepared& prepared, const Prepared& dprepared,
                               const Params<Real>& dw, const Tracer& trace) {
    for (std::size_t j = 0; j < Depth; ++j)
      Layer::Attention::prepare_backward(exec, w[j].attention, prepared[j], dprepared[j], dw[j].attention,
                                         trace / "blocks" / static_cast<int>(j) / "attention");
  }

  /// The results of all layers, and what each keeps, or shares with the others where the backward pass runs its forward
  /// once more.
  struct Saved {
    std::array<Real*, Depth> results;
    std::array<typename Layer::Saved, Depth> layers;

    /// shared: null, or where every layer leaves what it keeps.
    static constexpr Saved take(Carver<Real>& from, int samples, const typename Layer::Saved* shared) {
      Saved saved{};
      for (std::size_t j = 0; j < Depth; ++j) {
        saved.results[j] = from.take(std::size_t{Layer::positions} * Layer::dim * static_cast<std::size_t>(samples));
        saved.layers[j] = shared ? *shared : Layer::Saved::take(from, samples);
      }
      return saved;
    }
    Real* result() const { return results.back(); }
    const Real* input(std::size_t j, const Real* x) const { return j == 0 ? x : results[j - 1]; }
  };
  /// In place of NoKeep: a forward pass of training.
  struct Training {
    Saved saved;
    const SwinKeep<Real>* keep;  ///< one a layer, null for none
    bool again;                  ///< backward runs every layer's forward before its own

    typename Layer::Training layer(std::size_t j) const { return {saved.layers[j], keep ? keep[j] : SwinKeep<Real>{}}; }
  };

  /// Overwrites h in inference, Saved in training.
  template <class Exec, class Mode, class Tracer>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* time,
                      Shifted shifted, int shift, double eps, const Real* x, Real* h, const TokenScratch<Real>& scratch,
                      const Mode& mode, const Tracer& trace) {
    for (std::size_t j = 0; j < Depth; ++j)
      if constexpr (std::same_as<Mode, Training>)
        Layer::forward(exec, w[j], prepared[j], samples, time, shift_of(shifted, j, shift), eps, mode.saved.input(j, x),
                       mode.saved.results[j], scratch, mode.layer(j), trace / "blocks" / static_cast<int>(j));
      else
        Layer::forward(exec, w[j], prepared[j], samples, time, shift_of(shifted, j, shift), eps, j == 0 ? x : h, h,
                       scratch, mode, trace / "blocks" / static_cast<int>(j));
  }

  /// g: dL/dh on entry, dL/dx on return. Adds to dw and dprepared.
  template <class Exec, class Tracer>
  static void backward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* time,
                       Shifted shifted, int shift, double eps, const Real* x, const Training& mode, Real* g,
                       const Params<Real>& dw, const Prepared& dprepared, const GradientScratch<Real>& scratch,
                       const Tracer& trace) {
    for (std::size_t j = Depth; j-- > 0;) {
      const Real* in = mode.saved.input(j, x);
      const int s = shift_of(shifted, j, shift);
      if (mode.again)
        Layer::forward(exec, w[j], prepared[j], samples, time, s, eps, in, mode.saved.results[j],
                       TokenScratch<Real>{scratch.wide, scratch.branch, scratch.affine}, mode.layer(j));
      Layer::backward(exec, w[j], prepared[j], samples, time, s, eps, in, mode.layer(j), g, dw[j], dprepared[j],
                      scratch, trace / "blocks" / static_cast<int>(j));
    }
  }

 private:
  static constexpr int shift_of(Shifted shifted, std::size_t j, int shift) {
    return (shifted == Shifted::odd_from_first ? j : Depth - 1 - j) % 2 == 0 ? 0 : shift;
  }
};

/// A stage of the encoder: layers, then the stage's input added and the grid merged to the next coarser one.
///   Merging: PatchMerging or NoResampling; x, h: (samples, Rows, Columns, Dim); y: as Merging leaves it
/// Source: Poseidon's ScOTEncodeStage (scOT/model.py).
template <class Real, class Layer, int Depth, class Merging = NoResampling>
struct EncoderStage {
  using Layers = SwinLayers<Real, Layer, Depth>;
  static constexpr bool merges = !std::same_as<Merging, NoResampling>;
  static constexpr auto shifted = Layers::Shifted::odd_from_first;

  template <class R>
  struct Params {
    typename Layers::template Params<R> blocks;
    typename Merging::template Params<R> downsample;
    using hana_accessors_impl = Fields<Field<"blocks", &Params::blocks>, Field<"downsample", &Params::downsample>>;
  };
  using Weights = Params<const Real>;
  using Prepared = typename Layers::Prepared;

  template <class Exec>
  static void prepare(const Exec& exec, const Weights& w, const Prepared& prepared) {
    Layers::prepare(exec, w.blocks, prepared);
  }
  template <class Exec, class Tracer = NoTrace>
  static void prepare_backward(const Exec& exec, const Weights& w, const Prepared& prepared, const Prepared& dprepared,
                               const Params<Real>& dw, const Tracer& trace = {}) {
    Layers::prepare_backward(exec, w.blocks, prepared, dprepared, dw.blocks, trace);
  }

  struct Training {
    typename Layers::Training layers;
    typename Merging::Saved downsample;
  };

  /// Overwrites h, the result of the layers, which is what the skip takes, and y, where there is a Merging. In training
  /// h is where Training says. mode: NoKeep or Training.
  template <class Exec, class Mode = NoKeep, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* time,
                      int shift, double eps, const Real* x, Real* h, Real* y, const TokenScratch<Real>& scratch,
                      const Mode& mode = {}, const Tracer& trace = {}) {
    if constexpr (std::same_as<Mode, Training>) {
      h = mode.layers.saved.result();
      Layers::forward(exec, w.blocks, prepared, samples, time, shifted, shift, eps, x, h, scratch, mode.layers, trace);
      if constexpr (merges)
        Merging::forward(exec, w.downsample, samples, time, x, h, y, scratch.affine, mode.downsample,
                         trace / "downsample");
    } else {
      Layers::forward(exec, w.blocks, prepared, samples, time, shifted, shift, eps, x, h, scratch, mode, trace);
      if constexpr (merges)
        Merging::forward(exec, w.downsample, samples, time, x, h, y, scratch.affine, NoSave(), trace / "downsample");
    }
    if constexpr (Tracer::active) {
      if constexpr (merges)
        trace("", "bpc", {samples, Merging::rows * Merging::columns, 2 * Layer::dim}, y);
      else
        trace("", "bpc", {samples, Layer::positions, Layer::dim}, h);
    }
  }

  /// g: what the skip gives dL/dh on entry, dL/dx on return. dy: dL/dy, null where there is no Merging; dsum: memory of
  /// the size of h. Adds to dw and dprepared.
  template <class Exec, class Tracer = NoTrace>
  static void backward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* time,
                       int shift, double eps, const Real* x, const Training& mode, const Real* dy, Real* g, Real* dsum,
                       const Params<Real>& dw, const Prepared& dprepared, const GradientScratch<Real>& scratch,
                       const Tracer& trace = {}) {
    const std::size_t size = std::size_t{Layer::positions} * Layer::dim * static_cast<std::size_t>(samples);
    if constexpr (merges) {
      if constexpr (Tracer::active) trace("", "bpc", {samples, Merging::rows * Merging::columns, 2 * Layer::dim}, dy);
      Merging::backward(exec, w.downsample, samples, time, x, mode.layers.saved.result(), mode.downsample, dy, dsum,
                        dw.downsample, scratch, trace / "downsample");
      ops::add(exec, size, static_cast<const Real*>(dsum), g);
    } else if constexpr (Tracer::active) {
      trace("", "bpc", {samples, Layer::positions, Layer::dim}, g);
    }
    Layers::backward(exec, w.blocks, prepared, samples, time, shifted, shift, eps, x, mode.layers, g, dw.blocks,
                     dprepared, scratch, trace);
    if constexpr (merges) ops::add(exec, size, static_cast<const Real*>(dsum), g);
  }
};

/// A stage of the decoder: layers, then the grid unmerged to the next finer one and added to the skip there.
///   Unmerging: PatchUnmerging or NoResampling; x, h: (samples, Rows, Columns, Dim)
/// Source: Poseidon's ScOTDecodeStage (scOT/model.py).
template <class Real, class Layer, int Depth, class Unmerging = NoResampling>
struct DecoderStage {
  using Layers = SwinLayers<Real, Layer, Depth>;
  static constexpr bool unmerges = !std::same_as<Unmerging, NoResampling>;
  static constexpr auto shifted = Layers::Shifted::odd_from_last;

  template <class R>
  struct Params {
    typename Layers::template Params<R> blocks;
    typename Unmerging::template Params<R> upsample;
    using hana_accessors_impl = Fields<Field<"blocks", &Params::blocks>, Field<"upsample", &Params::upsample>>;
  };
  using Weights = Params<const Real>;
  using Prepared = typename Layers::Prepared;

  template <class Exec>
  static void prepare(const Exec& exec, const Weights& w, const Prepared& prepared) {
    Layers::prepare(exec, w.blocks, prepared);
  }
  template <class Exec, class Tracer = NoTrace>
  static void prepare_backward(const Exec& exec, const Weights& w, const Prepared& prepared, const Prepared& dprepared,
                               const Params<Real>& dw, const Tracer& trace = {}) {
    Layers::prepare_backward(exec, w.blocks, prepared, dprepared, dw.blocks, trace);
  }

  struct Training {
    typename Layers::Training layers;
    typename Unmerging::Saved upsample;
  };

  /// Overwrites h, which may be x in inference and is where Training says in training, and adds to skip, where there is
  /// an Unmerging. mode: NoKeep or Training.
  template <class Exec, class Mode = NoKeep, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* time,
                      int shift, double eps, const Real* x, Real* h, Real* skip, const TokenScratch<Real>& scratch,
                      const Mode& mode = {}, const Tracer& trace = {}) {
    if constexpr (std::same_as<Mode, Training>) {
      h = mode.layers.saved.result();
      Layers::forward(exec, w.blocks, prepared, samples, time, shifted, shift, eps, x, h, scratch, mode.layers, trace);
      if constexpr (unmerges)
        Unmerging::forward(exec, w.upsample, samples, time, h, skip, scratch.wide, scratch.affine, mode.upsample,
                           trace / "upsample");
    } else {
      Layers::forward(exec, w.blocks, prepared, samples, time, shifted, shift, eps, x, h, scratch, mode, trace);
      if constexpr (unmerges)
        Unmerging::forward(exec, w.upsample, samples, time, h, skip, scratch.wide, scratch.affine, NoSave(),
                           trace / "upsample");
    }
    if constexpr (Tracer::active) {
      if constexpr (unmerges) {
        std::vector<Real> finer(static_cast<std::size_t>(samples) * Unmerging::positions * Unmerging::half);
        Unmerging::forward(exec, w.upsample, samples, time, h, finer.data(), scratch.wide, scratch.affine);
        trace("", "bpc", {samples, Unmerging::positions, Unmerging::half}, finer.data());
      } else {
        trace("", "bpc", {samples, Layer::positions, Layer::dim}, h);
      }
    }
  }

  /// g: dL/dx on return; on entry dL/dh where there is no Unmerging, else dskip is dL/dskip. Adds to dw and dprepared.
  template <class Exec, class Tracer = NoTrace>
  static void backward(const Exec& exec, const Weights& w, const Prepared& prepared, int samples, const Real* time,
                       int shift, double eps, const Real* x, const Training& mode, const Real* dskip, Real* g,
                       const Params<Real>& dw, const Prepared& dprepared, const GradientScratch<Real>& scratch,
                       const Tracer& trace = {}) {
    if constexpr (unmerges) {
      if constexpr (Tracer::active) trace("", "bpc", {samples, Unmerging::positions, Unmerging::half}, dskip);
      Unmerging::backward(exec, w.upsample, samples, time, mode.layers.saved.result(), mode.upsample, dskip, g,
                          dw.upsample, scratch, trace / "upsample");
    } else if constexpr (Tracer::active) {
      trace("", "bpc", {samples, Layer::positions, Layer::dim}, g);
    }
    Layers::backward(exec, w.blocks, prepared, samples, time, shifted, shift, eps, x, mode.layers, g, dw.blocks,
                     dprepared, scratch, trace);
  }
};

}  // namespace fieldstep::blocks
