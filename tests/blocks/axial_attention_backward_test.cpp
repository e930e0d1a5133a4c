#include <fieldstep/blocks/axial_attention.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using blocks::Boundary;

namespace {

/// A block with the tables of its position bias, so that the whole is a function of its parameters.
template <template <class, int> class Bias_, int Rows, int Columns, bool Kept>
struct Kind {
  template <class Real>
  struct Case {
    static constexpr int dim = 8, heads = 2, samples = 2;
    using Bias = Bias_<Real, heads>;
    using Block = blocks::AxialAttentionBlock<Real, dim, heads, Rows, Columns, Bias>;
    static constexpr std::size_t tokens = samples * Rows * Columns, x_size = tokens * dim, y_size = x_size;
    static constexpr double eps = 1e-3;
    Arena<Real> memory = constant<Real>(5 * x_size + samples * dim), bias_x = constant<Real>(heads * Columns * Columns),
                bias_y = constant<Real>(heads * Rows * Rows), dbias_x = constant<Real>(bias_x.size()),
                dbias_y = constant<Real>(bias_y.size()), factors = drawn<Real>("keep", 2 * samples, 1, .5);
    SavedMemory<Block, Real> saved{samples};
    GradientMemory<Block, Real> scratch{samples, tokens, dim};

    void run(const Exec& exec, const auto& w, const Real* x, Real* y, const auto& save) const {
      Bias::template table<Columns>(w.rel_pos_bias, Boundary::periodic, bias_x.data());
      Bias::template table<Rows>(w.rel_pos_bias, Boundary::open, bias_y.data());
      Real *attended = memory.data() + 3 * x_size, *mixed = attended + x_size;
      Block::forward(exec, w, bias_x.data(), bias_y.data(), samples, x, y,
                     {memory.data(), attended, memory.data(), mixed, mixed + x_size, nullptr}, eps, keep(0), keep(1),
                     save);
    }
    const Real* keep(int branch) const { return Kept ? factors.data() + branch * samples : nullptr; }

    void infer(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y) const {
      run(exec, w, x, y, blocks::NoSave());
    }
    void forward(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y, const auto&) const {
      run(exec, w, x, y, saved());
    }
    void backward(const Exec& exec, const auto& w, const Real*, const Real* x, const Real* dy, Real* dx, const auto& dw,
                  Real* dtime, const auto&) const {
      std::copy_n(dy, y_size, dx);
      std::fill_n(dbias_x.data(), dbias_x.size(), Real(0));
      std::fill_n(dbias_y.data(), dbias_y.size(), Real(0));
      Block::backward(exec, w, bias_x.data(), bias_y.data(), samples, x, saved(), dx, dw, dbias_x.data(),
                      dbias_y.data(), scratch(dtime), eps, keep(0), keep(1));
      Bias::template backward<Columns>(w.rel_pos_bias, Boundary::periodic, dbias_x.data(), dw.rel_pos_bias);
      Bias::template backward<Rows>(w.rel_pos_bias, Boundary::open, dbias_y.data(), dw.rel_pos_bias);
    }
  };
};

constexpr BlockBounds gelu{.same_inference = false};  // with its slope it takes its factors in another order

}  // namespace

TEST_CASE("AxialAttentionBlock: gradients", "[blocks][axial_attention][gradient]") {
  check_block_gradient<Kind<blocks::RelativePositionBias, 3, 4, true>::Case>(gelu);
  check_block_gradient<Kind<blocks::NoPositionBias, 1, 5, false>::Case>(gelu);
}
