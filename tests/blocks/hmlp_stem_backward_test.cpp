#include <fieldstep/blocks/hmlp_stem.hpp>
#include <fieldstep/blocks/subsampled_linear.hpp>
#include <fieldstep/ops/nested_patches.hpp>
#include <support/block_gradient.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int dim = 16, q = dim / 4, rows = 2, columns = 2, frames = 2, fields = 3, states = 5;
constexpr int labels[fields] = {3, 0, 3};

/// States and stem, from fields to tokens: what is folded is a function of the parameters of both.
template <class Real>
struct StatesAndStem {
  using Bag = blocks::SubsampledLinear<Real, states, q>;
  using Stem = blocks::hMLP_stem<Real, dim, rows, columns, fields>;
  using Saved = typename Stem::Saved;

  template <class R>
  struct Params {
    typename Bag::template Params<R> bag;
    typename Stem::template Params<R> stem;
    using hana_accessors_impl = Fields<Field<"space_bag", &Params::bag>, Field<"embed", &Params::stem>>;
  };
  using Weights = Params<const Real>;
  static constexpr std::size_t partial_size(int) { return 0; }

  /// What depends on the parameters, or its gradient.
  struct Folded {
    Arena<Real> columns = constant<Real>(fields * q, 0), constant_ = constant<Real>(q, 0),
                memory = constant<Real>(Stem::First::stored_size, 0), bias = constant<Real>(q, 0);
    typename Stem::First first{memory.data()};
  };
};

template <class Real>
struct Case {
  using Block = StatesAndStem<Real>;
  using Patches = ops::NestedPatches<fields, rows, columns>;
  static constexpr int samples = frames;  // of one trajectory
  static constexpr std::size_t tokens = samples * rows * columns, x_size = tokens * 256 * fields, y_size = tokens * dim;
  typename Block::Folded folded, dfolded;
  Arena<Real> fine = constant<Real>(4 * y_size), coarse = constant<Real>(y_size), scale = constant<Real>(samples * dim),
              g = constant<Real>(y_size), patches = constant<Real>(x_size), mean = drawn<Real>("mean", fields),
              deviation = drawn<Real>("deviation", fields, 1, .5), inverse = constant<Real>(fields);
  SavedMemory<Block, Real> saved{samples};
  GradientMemory<Block, Real> scratch{samples, tokens, dim};

  void run(const Exec& exec, const auto& w, const Real* x, Real* y, const auto& save) const {
    Block::Bag::gather(w.bag, labels, folded.columns.data(), folded.constant_.data());
    Block::Stem::fold(w.stem, folded.columns.data(), folded.constant_.data(), folded.first, folded.bias.data());
    Block::Stem::forward(exec, w.stem, folded.first, folded.bias.data(), 1, input(x), y,
                         {fine.data(), coarse.data(), scale.data()}, save);
  }
  typename Block::Stem::Input input(const Real* x) const { return {x, mean.data(), deviation.data(), frames}; }

  void infer(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y) const {
    run(exec, w, x, y, blocks::NoSave());
  }
  void forward(const Exec& exec, const auto& w, const Real*, const Real* x, Real* y, const auto&) const {
    run(exec, w, x, y, saved());
  }
  void backward(const Exec& exec, const auto& w, const Real*, const Real* x, const Real* dy, Real* dx, const auto& dw,
                Real* dtime, const auto&) const {
    for (const auto& gradient : {dfolded.columns, dfolded.constant_, dfolded.memory, dfolded.bias})
      std::fill_n(gradient.data(), gradient.size(), Real(0));
    std::copy_n(dy, y_size, g.data());
    for (int c = 0; c < fields; ++c) inverse.data()[c] = 1 / deviation.data()[c];
    Block::Stem::backward(exec, w.stem, folded.first, 1, input(x), saved(), g.data(), patches.data(), dw.stem,
                          dfolded.first, dfolded.bias.data(), scratch(dtime));
    const Real* none = nullptr;
    Patches::to_image(exec, samples, frames, patches.data(), inverse.data(), none, dx);
    Block::Stem::fold_backward(w.stem, folded.columns.data(), folded.constant_.data(), dfolded.first,
                               dfolded.bias.data(), dw.stem, dfolded.columns.data(), dfolded.constant_.data());
    Block::Bag::gather_backward(labels, dfolded.columns.data(), dfolded.constant_.data(), dw.bag);
  }
};

}  // namespace

TEST_CASE("hMLP_stem: gradients, through the states in front of it", "[blocks][hmlp_stem][gradient]") {
  check_block_gradient<Case>();
}
