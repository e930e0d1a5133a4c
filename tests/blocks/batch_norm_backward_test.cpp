#include <fieldstep/blocks/batch_norm.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

template <int Dim, bool ByBatch>
struct Kind {
  template <class Real>
  struct Case {
    using Block = blocks::BatchNorm<Real, Dim>;
    using Parameters = typename Block::template Params<Real>;
    static constexpr int samples = 3, positions = 35, rows = samples * positions;
    static constexpr std::size_t x_size = rows * Dim, y_size = x_size;
    Arena<Real> memory = constant<Real>(2 * Dim), statistics = constant<Real>(arena_count<Parameters>());

    void infer(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y) const {
      const auto affine = ByBatch ? Block::affine(exec, w, rows, x, memory.data(), bind<Parameters>(statistics.data()))
                                  : Block::affine(w, memory.data());
      ops::scale_shift<Dim>(exec, 1, rows, x, affine.scale, affine.shift, y);
    }
    void forward(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y, const auto&) const {
      infer(exec, w, time, x, y);
    }
    void backward(const Exec& exec, const auto& w, const Real*, const Real* x, const Real* dy, Real* dx, const auto& dw,
                  Real*, const auto&) const {
      std::copy_n(dy, y_size, dx);
      Block::backward(exec, w, rows, ByBatch, x, dx, dx, dw);
    }
  };
};

}  // namespace

TEST_CASE("BatchNorm: gradients, by running and by batch statistics", "[blocks][batch_norm][gradient]") {
  check_block_gradient<Kind<7, false>::Case>();
  check_block_gradient<Kind<7, true>::Case>();
  check_block_gradient<Kind<16, true>::Case>();
}
