#pragma once
#include <benchmarks/specialization/block.hpp>

namespace fieldstep::benchmarks::specialization {

/// AViT-Ti at 128 x 128: 8 x 8 tokens of 192 channels, 3 heads.
constexpr int rows = 8, columns = 8, dim = 192, heads = 3;

/// The block compiled for these extents, and for any.
void fixed_block(int samples, const Weights& w, float* x, float* scratch);
void free_block(int samples, int rows, int columns, int dim, int heads, const Weights& w, float* x, float* scratch);

}  // namespace fieldstep::benchmarks::specialization
