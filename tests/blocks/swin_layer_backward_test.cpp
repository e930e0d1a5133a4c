#include <fieldstep/blocks/conditional_layer_norm.hpp>
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/swin_layer.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

/// A layer with the preparation of its position bias, so that the whole is a function of its parameters.
template <template <class, int> class Norm, int Rows, int Columns, int Window, int Shift, bool QkvBias>
struct Kind {
  template <class Real>
  struct Case {
    static constexpr int dim = 8, heads = 2, hidden = 20, samples = 2;
    static constexpr double eps = 1e-3;
    using Layer = blocks::SwinLayer<Real, Norm<Real, dim>, dim, heads, Rows, Columns, Window, hidden, 0, QkvBias>;
    using Block = Layer;
    static constexpr std::size_t tokens = samples * Rows * Columns, x_size = tokens * dim, y_size = x_size;
    Arena<Real> wide = constant<Real>(4 * x_size), branch = constant<Real>(x_size),
                affine = constant<Real>(2 * samples * dim), memory = constant<Real>(arena_count<Prepared>()),
                dmemory = constant<Real>(memory.size());
    using Prepared = typename Layer::Prepared;
    Prepared prepared = bind<Prepared>(memory.data()), dprepared = bind<Prepared>(dmemory.data());
    SavedMemory<Block, Real> saved{samples};
    GradientMemory<Block, Real> scratch{samples, tokens, dim};

    void run(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y, const auto& mode,
             const auto& trace) const {
      Layer::Attention::prepare(exec, w.attention, prepared);
      Layer::forward(exec, w, prepared, samples, time, Shift, eps, x, y, {wide.data(), branch.data(), affine.data()},
                     mode, trace);
    }
    typename Layer::Training training() const { return {saved(), {}}; }

    void infer(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y) const {
      run(exec, w, time, x, y, blocks::NoKeep(), NoTrace());
    }
    void forward(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y, const auto&) const {
      run(exec, w, time, x, y, training(), NoTrace());
    }
    void backward(const Exec& exec, const auto& w, const Real* time, const Real* x, const Real* dy, Real* dx,
                  const auto& dw, Real* dtime, const auto&) const {
      std::copy_n(dy, y_size, dx);
      std::fill_n(dmemory.data(), dmemory.size(), Real(0));
      Layer::backward(exec, w, prepared, samples, time, Shift, eps, x, training(), dx, dw, dprepared, scratch(dtime));
      Layer::Attention::prepare_backward(exec, w.attention, prepared, dprepared, dw.attention);
    }
  };
};

// The hidden units of the position bias have kinks everywhere: only steps too short for most of them see a slope.
constexpr BlockBounds bounds{.step = 1e-6, .differences = 3e-8, .same_inference = false};

}  // namespace

TEST_CASE("SwinLayer: gradients on a padded grid with shifted windows", "[blocks][swin_layer][gradient]") {
  check_block_gradient<Kind<blocks::ConditionalLayerNorm, 5, 7, 3, 1, true>::Case>(bounds);
}

TEST_CASE("SwinLayer: gradients without conditions and biases, in one window", "[blocks][swin_layer][gradient]") {
  check_block_gradient<Kind<blocks::LayerNorm, 4, 4, 4, 0, false>::Case>(bounds);
}
