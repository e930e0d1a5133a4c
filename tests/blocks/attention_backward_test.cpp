#include <fieldstep/blocks/attention.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using blocks::Boundary;

namespace {

/// A block with the table of its position bias, so that the whole is a function of its parameters.
template <template <class, int> class Bias_, int Frames, bool LastFrameOnly, bool Kept>
struct Kind {
  template <class Real>
  struct Case {
    static constexpr int dim = 8, heads = 2, rows = 2, columns = 3, samples = 2;
    using Bias = Bias_<Real, heads>;
    using Block = blocks::AttentionBlock<Real, dim, heads, Frames, rows, columns, Bias>;
    static constexpr std::size_t tokens = samples * Frames * rows * columns, x_size = tokens * dim,
                                 y_size = LastFrameOnly ? x_size / Frames : x_size;
    static constexpr double eps = 1e-3;
    Arena<Real> memory = constant<Real>(5 * x_size + 2 * samples * Frames * dim),
                bias = constant<Real>(heads * Frames * Frames), dbias = constant<Real>(bias.size()),
                factors = drawn<Real>("keep", samples*Frames, 1, .5);
    SavedMemory<Block, Real> saved{samples};
    GradientMemory<Block, Real> scratch{samples, tokens, dim};

    void run(const Exec& exec, const auto& w, const Real* x, Real* y, const auto& save) const {
      Bias::template table<Frames>(w.rel_pos_bias, Boundary::open, bias.data());
      Real *attended = memory.data() + 3 * x_size, *scale = attended + 2 * x_size;
      Block::forward(exec, w, bias.data(), samples, x, y,
                     {memory.data(), attended, nullptr, attended + x_size, scale, scale + samples * Frames * dim}, eps,
                     LastFrameOnly, keep(), save);
    }
    const Real* keep() const { return Kept ? factors.data() : nullptr; }

    void infer(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y) const {
      run(exec, w, x, y, blocks::NoSave());
    }
    void forward(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y, const auto&) const {
      run(exec, w, x, y, saved());
    }
    void backward(const Exec& exec, const auto& w, const Real*, const Real* x, const Real* dy, Real* dx, const auto& dw,
                  Real* dtime, const auto&) const {
      std::fill_n(dbias.data(), dbias.size(), Real(0));
      if (!LastFrameOnly) std::copy_n(dy, y_size, dx);  // in place
      Block::backward(exec, w, bias.data(), samples, x, saved(), LastFrameOnly ? dy : dx, dx, dw, dbias.data(),
                      scratch(dtime), eps, LastFrameOnly, keep());
      Bias::template backward<Frames>(w.rel_pos_bias, Boundary::open, dbias.data(), dw.rel_pos_bias);
    }
  };
};

}  // namespace

TEST_CASE("AttentionBlock: gradients", "[blocks][attention][gradient]") {
  check_block_gradient<Kind<blocks::RelativePositionBias, 3, false, true>::Case>();
  check_block_gradient<Kind<blocks::NoPositionBias, 2, false, false>::Case>();
}

TEST_CASE("AttentionBlock: gradients of the last frame's result", "[blocks][attention][gradient]") {
  check_block_gradient<Kind<blocks::RelativePositionBias, 3, true, true>::Case>();
  check_block_gradient<Kind<blocks::RelativePositionBias, 1, true, false>::Case>();
}
