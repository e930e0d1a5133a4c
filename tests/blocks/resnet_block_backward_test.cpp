#include <fieldstep/blocks/resnet_block.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

template <int Dim, int Rows, int Columns, bool ByBatch>
struct Kind {
  template <class Real>
  struct Case {
    using Block = blocks::ResNetBlock<Real, Dim, Rows, Columns>;
    using Parameters = typename Block::template Params<Real>;
    static constexpr int samples = 2;
    static constexpr std::size_t tokens = samples * Rows * Columns, x_size = tokens * Dim, y_size = x_size;
    Arena<Real> wide = constant<Real>(4 * x_size), branch = constant<Real>(x_size), affine = constant<Real>(2 * Dim),
                statistics = constant<Real>(arena_count<Parameters>());
    Parameters running = bind<Parameters>(statistics.data());
    SavedMemory<Block, Real> saved{samples};
    GradientMemory<Block, Real> scratch{samples, tokens, Dim};

    void pass(const Exec& exec, const auto& w, const Real* x, Real* y, const auto& save) const {
      Block::forward(exec, w, samples, x, y, {wide.data(), branch.data(), affine.data()}, ByBatch ? &running : nullptr,
                     save);
    }
    void infer(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y) const {
      pass(exec, w, x, y, blocks::NoSave());
    }
    void forward(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y, const auto&) const {
      pass(exec, w, x, y, saved());
    }
    void backward(const Exec& exec, const auto& w, const Real*, const Real* x, const Real* dy, Real* dx, const auto& dw,
                  Real* dtime, const auto&) const {
      std::copy_n(dy, y_size, dx);
      Block::backward(exec, w, samples, x, saved(), ByBatch, dx, dw, scratch(dtime));
    }
  };
};

}  // namespace

TEST_CASE("ResNetBlock: gradients, by running and by batch statistics", "[blocks][resnet_block][gradient]") {
  const BlockBounds kinks{.step = 1e-5, .differences = 1e-8};
  check_block_gradient<Kind<6, 3, 5, false>::Case>(kinks);
  check_block_gradient<Kind<6, 3, 5, true>::Case>(kinks);
  check_block_gradient<Kind<8, 1, 4, true>::Case>(kinks);
}
