#pragma once
#include <fieldstep/blocks/patch_embedding.hpp>
#include <fieldstep/blocks/token_scratch.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/layer_norm.hpp>

namespace fieldstep::blocks {

/// Patches of an image as normalised tokens. With MaskToken some of them may be replaced by a learned one, as in masked
/// pre-training; with AbsolutePositions every position adds a learned vector.
///   x: (samples, Channels, Patch Rows, Patch Columns) -> y: (samples, Rows, Columns, Dim)
/// Source: Poseidon's ScOTEmbeddings (scOT/model.py).
template <class Real, class Norm, int Channels, int Dim, int Patch, int Rows, int Columns, bool MaskToken = false,
          bool AbsolutePositions = false>
struct TokenEmbedding {
  using Patches = PatchEmbedding<Real, Channels, Dim, Patch, Rows, Columns>;
  static constexpr int positions = Rows * Columns;

  template <class R>
  struct Params {
    PresentIf<MaskToken, Tensor<R, 1, 1, Dim>> mask_token{nullptr};
    PresentIf<AbsolutePositions, Tensor<R, 1, positions, Dim>> position_embeddings{nullptr};
    typename Patches::template Params<R> patches;
    typename Norm::template Params<R> norm;
    using hana_accessors_impl = Fields<Field<"mask_token", &Params::mask_token, init_constant(0)>,
                                       Field<"position_embeddings", &Params::position_embeddings, init_constant(0)>,
                                       Field<"patch_embeddings", &Params::patches>, Field<"norm", &Params::norm>>;
  };
  using Weights = Params<const Real>;

  /// Overwrites y. time: one a sample; affine: memory of the norm, 2 samples x Dim; masked: (samples, positions), 1
  /// where the mask token stands in for a patch, null for nowhere.
  template <class Exec, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, int samples, const Real* time, const Real* x, Real* y,
                      Real* affine, const Real* masked = nullptr, const Tracer& trace = {}) {
    const auto show = [&](const char* name) {
      if constexpr (Tracer::active) trace(name, "bpc", {samples, positions, Dim}, y);
    };
    Patches::forward(exec, w.patches, samples, x, y);
    show("patch_embeddings");
    ops::layer_norm<Dim>(exec, samples, positions, static_cast<const Real*>(y),
                         Norm::affine(w.norm, samples, time, affine), 1e-5, y);
    show("norm");
    if constexpr (MaskToken || AbsolutePositions)
      for_ranges(exec, samples * positions, [=](int begin, int end) {
        for (int row = begin; row < end; ++row) {
          Real* token = y + static_cast<std::ptrdiff_t>(row) * Dim;
          if constexpr (MaskToken)
            if (masked && masked[row] != 0) std::copy_n(w.mask_token.data_handle(), Dim, token);
          if constexpr (AbsolutePositions)
            for (int c = 0; c < Dim; ++c) token[c] += w.position_embeddings(0, row % positions, c);
        }
      });
  }
};

}  // namespace fieldstep::blocks
