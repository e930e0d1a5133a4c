#include <benchmarks/specialization/blocks.hpp>

namespace fieldstep::benchmarks::specialization {

void free_block(int samples, int rows_, int columns_, int dim_, int heads_, const Weights& w, float* x,
                float* scratch) {
  block(samples, rows_, columns_, dim_, heads_, w, x, scratch);
}

}  // namespace fieldstep::benchmarks::specialization
