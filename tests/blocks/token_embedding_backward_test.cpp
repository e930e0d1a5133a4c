#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/token_embedding.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int channels = 2, dim = 12, patch = 2, rows = 2, columns = 3;

template <template <class, int> class Norm, bool MaskToken, bool AbsolutePositions>
struct Kind {
  template <class Real>
  struct Case {
    using Block = blocks::TokenEmbedding<Real, Norm<Real, dim>, channels, dim, patch, rows, columns, MaskToken,
                                         AbsolutePositions>;
    static constexpr int samples = 2;
    static constexpr std::size_t tokens = samples * rows * columns, x_size = tokens * Block::Patches::patch_size,
                                 y_size = tokens * dim;
    Arena<Real> affine = constant<Real>(2 * samples * dim), masked = constant<Real>(tokens, 0);
    SavedMemory<Block, Real> saved{samples};
    GradientMemory<Block, Real> scratch{samples, tokens, dim};

    Case() {
      for (std::size_t i = 0; MaskToken && i < tokens; i += 3) masked.data()[i] = 1;
    }
    const Real* mask() const { return MaskToken ? masked.data() : nullptr; }
    void infer(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y) const {
      Block::forward(exec, w, samples, time, x, y, affine.data(), mask());
    }
    void forward(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y, const auto& trace) const {
      Block::forward(exec, w, samples, time, x, y, affine.data(), mask(), saved(), trace);
    }
    void backward(const Exec& exec, const auto& w, const Real* time, const Real* x, const Real* dy, Real* dx,
                  const auto& dw, Real* dtime, const auto& trace) const {
      Block::backward(exec, w, samples, time, x, saved(), dy, dx, dw, scratch(dtime), mask(), trace);
    }
  };
};

}  // namespace

TEST_CASE("TokenEmbedding: gradients", "[blocks][token_embedding][gradient]") {
  check_block_gradient<Kind<blocks::ConditionalLayerNorm, false, false>::Case>();
  check_block_gradient<Kind<blocks::LayerNorm, false, true>::Case>();
  check_block_gradient<Kind<blocks::ConditionalLayerNorm, true, true>::Case>();
}
