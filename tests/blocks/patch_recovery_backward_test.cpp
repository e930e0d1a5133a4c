#include <fieldstep/blocks/patch_recovery.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

template <int Dim, int Channels, int Patch, int Rows, int Columns>
struct Extents {
  template <class Real>
  struct Case {
    using Block = blocks::PatchRecovery<Real, Dim, Channels, Patch, Rows, Columns>;
    static constexpr int samples = 2;
    static constexpr std::size_t tokens = samples * Rows * Columns, x_size = tokens * Dim,
                                 y_size = tokens * Block::patch_size;
    SavedMemory<Block, Real> saved{samples};
    GradientMemory<Block, Real> scratch{samples, tokens, Dim};

    void infer(const Exec& exec, const auto& w, const Real* time, const Real* x, Real* y) const {
      forward(exec, w, time, x, y, NoTrace());
    }
    void forward(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y, const auto& trace) const {
      Block::forward(exec, w, samples, x, y, saved(), trace);
    }
    void backward(const Exec& exec, const auto& w, const Real*, const Real* x, const Real* dy, Real* dx, const auto& dw,
                  Real* dtime, const auto& trace) const {
      Block::backward(exec, w, samples, x, saved(), dy, dx, dw, scratch(dtime), trace);
    }
  };
};

}  // namespace

TEST_CASE("PatchRecovery: gradients", "[blocks][patch_recovery][gradient]") {
  check_block_gradient<Extents<12, 4, 4, 3, 4>::Case>();
  check_block_gradient<Extents<10, 3, 3, 3, 5>::Case>();  // a width that no vector divides
  check_block_gradient<Extents<8, 1, 1, 2, 3>::Case>();   // an image smaller than the 5x5 kernel
}
