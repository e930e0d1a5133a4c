#include <fieldstep/blocks/hmlp_output.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int dim = 16, q = dim / 4, rows = 1, columns = 2, fields = 3, states = 5;
constexpr int labels[fields] = {3, 0, 3};

template <class Real>
struct Output : blocks::hMLP_output<Real, dim, states, rows, columns, fields> {
  static constexpr std::size_t partial_size(int) { return 0; }
};

template <class Real>
struct Case {
  using Block = Output<Real>;
  static constexpr int samples = 2;
  static constexpr std::size_t tokens = samples * rows * columns, x_size = tokens * dim, y_size = tokens * 256 * fields;
  Arena<Real> fine = constant<Real>(4 * x_size), coarse = constant<Real>(x_size), scale = constant<Real>(samples * dim),
              memory = constant<Real>(Block::Head::stored_size, 0), bias = constant<Real>(16 * fields),
              dmemory = constant<Real>(memory.size()), dbias = constant<Real>(bias.size());
  typename Block::Head head{memory.data()}, dhead{dmemory.data()};
  SavedMemory<Block, Real> saved{samples};
  GradientMemory<Block, Real> scratch{samples, tokens, dim};

  void run(const Exec& exec, const auto& w, const Real* x, Real* y, const auto& save) const {
    Block::gather(w, labels, head, bias.data());
    Block::forward(exec, w, head, bias.data(), 1, samples, x, y, {fine.data(), coarse.data(), scale.data()}, save);
  }
  void infer(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y) const {
    run(exec, w, x, y, blocks::NoSave());
  }
  void forward(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y, const auto&) const {
    run(exec, w, x, y, saved());
  }
  void backward(const Exec& exec, const auto& w, const Real*, const Real* x, const Real* dy, Real* dx, const auto& dw,
                Real* dtime, const auto&) const {
    std::fill_n(dmemory.data(), dmemory.size(), Real(0));
    std::fill_n(dbias.data(), dbias.size(), Real(0));
    Block::backward(exec, w, head, samples, x, saved(), dy, dx, dw, dhead, dbias.data(), scratch(dtime));
    Block::gather_backward(labels, dhead, dbias.data(), dw);
  }
};

}  // namespace

TEST_CASE("hMLP_output: gradients, repeated labels adding up", "[blocks][hmlp_output][gradient]") {
  check_block_gradient<Case>();
}
