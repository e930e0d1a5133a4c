#include <benchmarks/specialization/blocks.hpp>

namespace fieldstep::benchmarks::specialization {

void fixed_block(int samples, const Weights& w, float* x, float* scratch) {
  block(samples, Fixed<rows>{}, Fixed<columns>{}, Fixed<dim>{}, Fixed<heads>{}, w, x, scratch);
}

}  // namespace fieldstep::benchmarks::specialization
