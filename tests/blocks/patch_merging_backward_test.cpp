#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/patch_merging.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int dim = 6;

template <template <class, int> class Norm, int Rows, int Columns>
struct Kind {
  template <class Real>
  struct Case {
    using Block = blocks::PatchMerging<Real, Norm<Real, 2 * dim>, dim, Rows, Columns>;
    static constexpr int samples = 2;
    static constexpr std::size_t tokens = samples * Rows * Columns, x_size = tokens * dim,
                                 y_size = samples * Block::positions * 2 * dim;
    Arena<Real> skip = drawn<Real>("skip", x_size), affine = constant<Real>(2 * samples * 2 * dim);
    SavedMemory<Block, Real> saved{samples};
    GradientMemory<Block, Real> scratch{samples, tokens, dim};

    void infer(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y) const {
      Block::forward(exec, w, samples, time, x, skip.data(), y, affine.data());
    }
    void forward(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y, const auto& trace) const {
      Block::forward(exec, w, samples, time, x, skip.data(), y, affine.data(), saved(), trace);
    }
    void backward(const Exec& exec, const auto& w, const Real* time, const Real* x, const Real* dy, Real* dx,
                  const auto& dw, Real* dtime, const auto& trace) const {
      Block::backward(exec, w, samples, time, x, skip.data(), saved(), dy, dx, dw, scratch(dtime), trace);
    }
  };
};

}  // namespace

TEST_CASE("PatchMerging: gradients, on even and odd grids", "[blocks][patch_merging][gradient]") {
  check_block_gradient<Kind<blocks::ConditionalLayerNorm, 4, 6>::Case>();
  check_block_gradient<Kind<blocks::ConditionalLayerNorm, 5, 4>::Case>();
  check_block_gradient<Kind<blocks::LayerNorm, 3, 7>::Case>();
  check_block_gradient<Kind<blocks::LayerNorm, 2, 1>::Case>();
}
