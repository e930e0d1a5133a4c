#pragma once

namespace fieldstep::blocks {

/// Memory of the blocks that work on a grid of tokens.
template <class Real>
struct TokenScratch {
  Real* wide;    ///< samples x tokens x the wider of 4 Dim (queries, keys, values; attended) and the hidden layer
  Real* branch;  ///< samples x tokens x Dim
  Real* affine;  ///< 2 samples x Dim: scale and shift of a norm
};

}  // namespace fieldstep::blocks
