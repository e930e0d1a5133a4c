#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/patch_unmerging.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int dim = 12;

/// To a grid of Rows x Columns.
template <template <class, int> class Norm, int Rows, int Columns>
struct Kind {
  template <class Real>
  struct Case {
    using Block = blocks::PatchUnmerging<Real, Norm<Real, dim / 2>, dim, Rows, Columns>;
    static constexpr int samples = 2;
    static constexpr std::size_t tokens = samples * Block::rows * Block::columns, x_size = tokens * dim,
                                 y_size = samples * Block::positions * dim / 2;
    Arena<Real> skip = drawn<Real>("skip", y_size), memory = constant<Real>(tokens * 2 * dim + y_size),
                affine = constant<Real>(samples * dim);
    SavedMemory<Block, Real> saved{samples};
    GradientMemory<Block, Real> scratch{samples, tokens, dim};

    void infer(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y) const {
      std::copy_n(skip.data(), y_size, y);
      Block::forward(exec, w, samples, time, x, y, memory.data(), affine.data());
    }
    void forward(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y, const auto& trace) const {
      std::copy_n(skip.data(), y_size, y);
      Block::forward(exec, w, samples, time, x, y, nullptr, affine.data(), saved(), trace);
    }
    void backward(const Exec& exec, const auto& w, const Real* time, const Real* x, const Real* dy, Real* dx,
                  const auto& dw, Real* dtime, const auto& trace) const {
      Block::backward(exec, w, samples, time, x, saved(), dy, dx, dw, scratch(dtime), trace);
    }
  };
};

}  // namespace

TEST_CASE("PatchUnmerging: gradients, to even and odd grids", "[blocks][patch_unmerging][gradient]") {
  check_block_gradient<Kind<blocks::ConditionalLayerNorm, 4, 6>::Case>();
  check_block_gradient<Kind<blocks::ConditionalLayerNorm, 5, 4>::Case>();
  check_block_gradient<Kind<blocks::LayerNorm, 3, 7>::Case>();
  check_block_gradient<Kind<blocks::LayerNorm, 1, 2>::Case>();
}
