#pragma once
#include <fieldstep/ops/layer_norm_backward.hpp>

#include <cstddef>

namespace fieldstep::blocks {

/// In place of a block's Saved: a forward pass of inference, whose intermediate results share scratch memory and for
/// which the code of training is not even compiled.
struct NoSave {};

/// Memory of the backward pass of the blocks that work on a grid of tokens.
template <class Real>
struct GradientScratch {
  Real* wide;     ///< samples x tokens x the wider of 4 Dim and the hidden layer
  Real* branch;   ///< samples x tokens x Dim
  Real* affine;   ///< 4 samples x Dim: scale and shift of a norm, then their gradients
  Real* partial;  ///< partial sums of reductions, as the operations' *_scratch_size say
  Real* dtime;    ///< gradient of every sample's lead time, added to; null where nobody asks for it
};

/// Gradient of keep * norm(x) for a ConditionalLayerNorm or a LayerNorm of Dim channels: overwrites dx, adds to dw and
/// to the gradient of time. source, keep: as in ops::layer_norm_backward.
template <class Norm, int Dim, class Exec, class Real, class Source = ops::SameToken>
void norm_backward(const Exec& exec, const typename Norm::Weights& w, int samples, int positions, const Real* time,
                   double eps, const Real* x, const Real* dy, Real* dx, const typename Norm::template Params<Real>& dw,
                   const GradientScratch<Real>& scratch, const Real* keep = nullptr, const Source& source = {}) {
  const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(samples) * Dim;
  Real *dscale = scratch.affine + 2 * size, *dshift = dscale + size;
  ops::layer_norm_backward<Dim>(exec, samples, positions, x, Norm::affine(w, samples, time, scratch.affine), eps, dy,
                                dx, dscale, dshift, scratch.partial, keep, source);
  Norm::affine_backward(w, samples, time, dscale, dshift, dw, scratch.dtime);
}

}  // namespace fieldstep::blocks
