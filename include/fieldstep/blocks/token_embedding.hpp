#pragma once
#include <fieldstep/blocks/norm_backward.hpp>
#include <fieldstep/blocks/patch_embedding.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/ops/layer_norm.hpp>
#include <fieldstep/ops/partial_sums.hpp>

#include <algorithm>
#include <concepts>

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

  /// What backward reads beside x; in inference the place of y.
  struct Saved {
    Real* embedded;  ///< (tokens, Dim): before the norm

    static constexpr Saved take(Carver<Real>& from, int samples) {
      return {from.take(static_cast<std::size_t>(samples) * positions * Dim)};
    }
  };

  /// Overwrites y. time: one a sample; affine: memory of the norm, 2 samples x Dim; masked: (samples, positions), 1
  /// where the mask token stands in for a patch, null for nowhere.
  template <class Exec, class Save = NoSave, class Tracer = NoTrace>
  static void forward(const Exec& exec, const Weights& w, int samples, const Real* time, const Real* x, Real* y,
                      Real* affine, const Real* masked = nullptr, const Save& save = {}, const Tracer& trace = {}) {
    const auto show = [&](const char* name, const Real* tokens) {
      if constexpr (Tracer::active) trace(name, "bpc", {samples, positions, Dim}, tokens);
    };
    Real* embedded = y;
    if constexpr (std::same_as<Save, Saved>) embedded = save.embedded;
    Patches::forward(exec, w.patches, samples, x, embedded);
    show("patch_embeddings", embedded);
    ops::layer_norm<Dim>(exec, samples, positions, static_cast<const Real*>(embedded),
                         Norm::affine(w.norm, samples, time, affine), 1e-5, y);
    show("norm", y);
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

  /// Numbers that backward needs at least of GradientScratch.
  static constexpr std::size_t wide_size(int samples) {
    return static_cast<std::size_t>(samples) * positions * Patches::patch_size;
  }
  static constexpr std::size_t partial_size(int samples) {
    return ops::layer_norm_backward_scratch_size<Dim>(samples, positions);
  }

  /// Overwrites dx unless it is null; adds to dw.
  template <class Exec, class Tracer = NoTrace>
  static void backward(const Exec& exec, const Weights& w, int samples, const Real* time, const Real* x,
                       const Saved& saved, const Real* dy, Real* dx, const Params<Real>& dw,
                       const GradientScratch<Real>& scratch, const Real* masked = nullptr, const Tracer& trace = {}) {
    const auto show = [&](const char* name, const Real* tokens) {
      if constexpr (Tracer::active) trace(name, "bpc", {samples, positions, Dim}, tokens);
    };
    const int tokens = samples * positions;
    if constexpr (AbsolutePositions)
      ops::add_rows<positions * Dim>(exec, samples, dy, std::ptrdiff_t{positions} * Dim,
                                     static_cast<const Real*>(nullptr), dw.position_embeddings.data_handle());
    if constexpr (MaskToken)
      if (masked) {
        // A masked token is a product of its mask with the one row of the mask token.
        const Packed<Real, LinearLayout<1, Dim>> dmask_token(dw.mask_token.data_handle());
        ops::add_weight_gradient(exec, tokens, ops::RowsLoader<Real>{masked, 1}, dy, Dim, dmask_token);
        keep_unmasked(exec, tokens, masked, dy, scratch.branch);
        dy = scratch.branch;
      }
    show("norm", dy);
    Real* dembedded = scratch.branch;
    norm_backward<Norm, Dim>(exec, w.norm, samples, positions, time, 1e-5, saved.embedded, dy, dembedded, dw.norm,
                             scratch);
    show("patch_embeddings", dembedded);
    Patches::backward(exec, w.patches, samples, x, dembedded, dx, dw.patches, scratch.wide);
  }

 private:
  template <class Exec>
  static void keep_unmasked(const Exec& exec, int tokens, const Real* masked, const Real* from, Real* to) {
    for_ranges(exec, tokens, [=](int begin, int end) {
      for (std::ptrdiff_t row = begin; row < end; ++row)
        if (masked[row] != 0)
          std::fill_n(to + row * Dim, Dim, Real(0));
        else
          std::copy_n(from + row * Dim, Dim, to + row * Dim);
    });
  }
};

}  // namespace fieldstep::blocks
