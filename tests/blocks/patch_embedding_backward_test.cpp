#include <fieldstep/blocks/patch_embedding.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples_ = 2;

template <int Channels, int Dim, int Patch, int Rows, int Columns>
struct Extents {
  template <class Real>
  struct Case {
    using Block = blocks::PatchEmbedding<Real, Channels, Dim, Patch, Rows, Columns>;
    static constexpr int samples = samples_;
    static constexpr std::size_t x_size = samples * Block::positions * Block::patch_size,
                                 y_size = samples * Block::positions * Dim;
    Arena<Real> patches = constant<Real>(x_size);

    void infer(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y) const {
      Block::forward(exec, w, samples, x, y);
    }
    void forward(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y, const auto&) const {
      infer(exec, w, time, x, y);
    }
    void backward(const Exec& exec, const auto& w, const Real*, const Real* x, const Real* dy, Real* dx, const auto& dw,
                  Real*, const auto&) const {
      Block::backward(exec, w, samples, x, dy, dx, dw, patches.data());
    }
  };
};

}  // namespace

TEST_CASE("PatchEmbedding: gradients", "[blocks][patch_embedding][gradient]") {
  check_block_gradient<Extents<4, 24, 4, 2, 3>::Case>();
  check_block_gradient<Extents<1, 7, 2, 3, 2>::Case>();
  check_block_gradient<Extents<3, 10, 3, 1, 3>::Case>();
}

TEST_CASE("PatchEmbedding: no gradient of the image where nobody wants it", "[blocks][patch_embedding]") {
  using Case = Extents<2, 12, 2, 3, 2>::Case<double>;
  using Parameters = Case::Block::Params<double>;
  const DrawnWeights<Case::Block, double> weights;
  const auto x = drawn<double>("x", Case::x_size), dy = drawn<double>("dy", Case::y_size),
             dx = constant<double>(Case::x_size);
  const auto with = constant<double>(arena_count<Parameters>(), 1), without = constant<double>(with.size(), 1);
  const Case c;
  c.backward(Exec(), weights.weights(), nullptr, x.data(), dy.data(), dx.data(), bind<Parameters>(with.data()), nullptr,
             NoTrace());
  c.backward(Exec(), weights.weights(), nullptr, x.data(), dy.data(), nullptr, bind<Parameters>(without.data()),
             nullptr, NoTrace());
  CHECK(same_bits(with, without));
}
