#include <fieldstep/blocks/mlp.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

template <class Real>
struct Case {
  static constexpr int dim = 6, hidden = 20, samples = 5;
  using Block = blocks::MLP<Real, dim, hidden>;
  static constexpr std::size_t x_size = samples * dim, y_size = x_size;
  Arena<Real> scratch = constant<Real>(samples * hidden);
  SavedMemory<Block, Real> saved{samples};

  void infer(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y) const {
    Block::forward(exec, w, samples, x, scratch.data(), y);
  }
  void forward(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y, const auto&) const {
    Block::forward(exec, w, samples, x, saved(), y);
  }
  void backward(const Exec& exec, const auto& w, const Real*, const Real* x, const Real* dy, Real* dx, const auto& dw,
                Real*, const auto&) const {
    std::fill_n(dx, x_size, Real(0));
    Block::backward(exec, w, samples, x, saved(), dy, dx, dw, scratch.data());
  }
};

}  // namespace

TEST_CASE("MLP: gradients", "[blocks][mlp][gradient]") {
  check_block_gradient<Case>({.same_inference = false});  // GELU with its slope takes its factors in another order
}

TEST_CASE("MLP: what is in dx stays, and the gradient is added", "[blocks][mlp]") {
  using Block = blocks::MLP<double, 6, 20>;
  const DrawnWeights<Block, double> weights;
  const auto memory = constant<double>(arena_count<Block::Params<double>>(), 0);
  const auto x = drawn<double>("x", 30), dy = drawn<double>("dy", 30), y = constant<double>(30),
             scratch = constant<double>(100), dx = constant<double>(30, 0), more = constant<double>(30, 5);
  const SavedMemory<Block, double> saved(5);
  Block::forward(Exec(), weights.weights(), 5, x.data(), saved(), y.data());
  for (const auto& to : {dx, more})
    Block::backward(Exec(), weights.weights(), 5, x.data(), saved(), dy.data(), to.data(),
                    bind<Block::Params<double>>(memory.data()), scratch.data());
  Numbers expected = in_double(dx);
  for (double& d : expected) d += 5;
  CHECK(relative_l2(in_double(more), expected) < rounding<double>);
}
