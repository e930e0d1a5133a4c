#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/convnext_block.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

template <template <class, int> class Norm, int Dim, int Rows, int Columns>
struct Kind {
  template <class Real>
  struct Case {
    using Block = blocks::ConvNeXtBlock<Real, Norm<Real, Dim>, Dim, Rows, Columns>;
    static constexpr int samples = 2;
    static constexpr double eps = 1e-3;
    static constexpr std::size_t tokens = samples * Rows * Columns, x_size = tokens * Dim, y_size = x_size;
    Arena<Real> wide = constant<Real>(4 * x_size), branch = constant<Real>(x_size),
                affine = constant<Real>(2 * samples * Dim);
    SavedMemory<Block, Real> saved{samples};
    GradientMemory<Block, Real> scratch{samples, tokens, Dim};

    blocks::TokenScratch<Real> forward_scratch() const { return {wide.data(), branch.data(), affine.data()}; }
    void infer(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y) const {
      Block::forward(exec, w, samples, time, eps, x, y, forward_scratch());
    }
    void forward(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y, const auto& trace) const {
      Block::forward(exec, w, samples, time, eps, x, y, forward_scratch(), saved(), trace);
    }
    void backward(const Exec& exec, const auto& w, const Real* time, const Real* x, const Real* dy, Real* dx,
                  const auto& dw, Real* dtime, const auto& trace) const {
      std::copy_n(dy, y_size, dx);
      Block::backward(exec, w, samples, time, eps, x, saved(), dx, dw, scratch(dtime), trace);
    }
  };
};

}  // namespace

TEST_CASE("ConvNeXtBlock: gradients", "[blocks][convnext_block][gradient]") {
  const BlockBounds gelu{.same_inference = false};  // with its slope it takes its factors in another order
  check_block_gradient<Kind<blocks::ConditionalLayerNorm, 6, 3, 5>::Case>(gelu);
  check_block_gradient<Kind<blocks::LayerNorm, 8, 9, 2>::Case>(gelu);
}
