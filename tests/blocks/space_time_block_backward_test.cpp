#include <fieldstep/blocks/space_time_block.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using blocks::Boundary;

namespace {

/// A block with the tables of its position biases, so that the whole is a function of its parameters.
template <bool LastFrameOnly>
struct Kind {
  template <class Real>
  struct Case {
    static constexpr int dim = 8, heads = 2, frames = 2, rows = 2, columns = 3, samples = 2;
    using Block = blocks::SpaceTimeBlock<Real, dim, heads, frames, rows, columns>;
    using Tables = typename Block::BiasTables;
    static constexpr std::size_t tokens = samples * frames * rows * columns, x_size = tokens * dim,
                                 y_size = LastFrameOnly ? x_size / frames : x_size;
    static constexpr double eps = 1e-3;
    Arena<Real> memory = constant<Real>(5 * x_size + 2 * samples * frames * dim),
                tables = constant<Real>(arena_count<Tables>()), dtables = constant<Real>(tables.size()),
                factors = drawn<Real>("keep", 3 * samples * frames, 1, .5), g = constant<Real>(y_size);
    Tables bias = bind<Tables>(tables.data()), dbias = bind<Tables>(dtables.data());
    SavedMemory<Block, Real> saved{samples};
    GradientMemory<Block, Real> scratch{samples, tokens, dim};

    void run(const Exec& exec, const auto& w, const Real* x, Real* y, const auto& save) const {
      Block::tables(w, Boundary::periodic, Boundary::open, bias);
      Real *attended = memory.data() + 3 * x_size, *mixed = attended + x_size, *scale = mixed + x_size;
      Block::forward(exec, w, bias, samples, x, y,
                     {memory.data(), attended, memory.data(), mixed, scale, scale + samples * frames * dim}, eps,
                     LastFrameOnly, keep(), save);
    }
    typename Block::Keep keep() const {
      const Real* first = factors.data();
      return {first, first + samples * frames, first + 2 * samples * frames};
    }

    void infer(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y) const {
      run(exec, w, x, y, blocks::NoSave());
    }
    void forward(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y, const auto&) const {
      run(exec, w, x, y, saved());
    }
    void backward(const Exec& exec, const auto& w, const Real*, const Real* x, const Real* dy, Real* dx, const auto& dw,
                  Real* dtime, const auto&) const {
      std::copy_n(dy, y_size, g.data());
      std::fill_n(dtables.data(), dtables.size(), Real(0));
      Block::backward(exec, w, bias, samples, x, saved(), g.data(), dx, dw, dbias, scratch(dtime), eps, LastFrameOnly,
                      keep());
      Block::tables_backward(w, Boundary::periodic, Boundary::open, dbias, dw);
    }
  };
};

// Two blocks in a row, five norms over few positions; GELU with its slope takes its factors in another order.
constexpr BlockBounds bounds{.single = 8 * rounding<float>, .same_inference = false};

}  // namespace

TEST_CASE("SpaceTimeBlock: gradients of all frames and of the last", "[blocks][space_time_block][gradient]") {
  check_block_gradient<Kind<false>::Case>(bounds);
  check_block_gradient<Kind<true>::Case>(bounds);
}
