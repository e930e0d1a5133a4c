#pragma once

namespace fieldstep {

/// Where a backward pass finds what it reads of the forward pass: kept from there, or computed once more block by
/// block, with the same bits, in memory that the blocks share.
enum class Activations { keep, recompute };

}  // namespace fieldstep
