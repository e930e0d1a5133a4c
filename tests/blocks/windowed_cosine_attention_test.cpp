#include <fieldstep/blocks/windowed_cosine_attention.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_scot.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 2;

template <class Real, int Dim, int Heads, int Rows, int Columns, int Window, int Trained = 0, bool QkvBias = true>
struct Case {
  using Block = blocks::WindowedCosineAttention<Real, Dim, Heads, Rows, Columns, Window, Trained, QkvBias>;
  using Windows = ops::WindowGrid<Rows, Columns, Window>;
  static constexpr std::size_t tokens = std::size_t{samples} * Rows * Columns;
  static constexpr std::size_t windows = std::size_t{samples} * Windows::windows;
  DrawnWeights<Block, Real> weights{};
  Arena<Real> x = drawn<Real>("x", tokens*Dim), memory = constant<Real>(arena_count<typename Block::Prepared>());
  typename Block::Prepared prepared = bind<typename Block::Prepared>(memory.data());

  Case() { Block::prepare(Exec(), weights.weights(), prepared); }

  template <class Keep = blocks::NoKeep>
  Arena<Real> run(const Exec& exec, int shift, const Keep& keep = {}) const {
    const auto qkv = constant<Real>(3 * tokens * Dim), attended = constant<Real>(tokens * Dim);
    const auto y = constant<Real>(tokens * Dim);
    Block::forward(exec, weights.weights(), prepared, samples, shift, x.data(), qkv.data(), attended.data(), y.data(),
                   keep);
    return y;
  }
  Numbers exact(int shift, const reference::Keep& keep = {}) const {
    return channels_last(reference::window_attention(weights.state(), reference::image_of(x, samples, Rows, Columns),
                                                     {Heads, Window, shift, Trained, QkvBias}, keep));
  }
};

/// Scores reach 16 + e: their exponentials lose a few bits more.
template <class Real>
constexpr double bound = 4 * rounding<Real>;

template <template <class> class Of>
void check_case(int shift) {
  const auto check = [=](auto zero) {
    using Real = decltype(zero);
    const Of<Real> block;
    const auto y = block.run(Exec(), shift);
    CHECK(relative_l2(in_double(y), block.exact(shift)) < bound<Real>);
    CHECK(same_bits(y, block.run(one_thread(), shift)));
  };
  check(0.f);
  check(0.);
}

template <class Real>
using Even = Case<Real, 24, 3, 8, 8, 4>;
template <class Real>
using Odd = Case<Real, 24, 2, 7, 9, 4>;  // padded in both directions
template <class Real>
using Wide = Case<Real, 12, 1, 6, 15, 3>;
template <class Real>
using OneWindow = Case<Real, 32, 4, 4, 4, 4>;
template <class Real>
using Elsewhere = Case<Real, 12, 2, 6, 6, 3, 5>;  // trained in windows of 5x5
template <class Real>
using Unbiased = Case<Real, 12, 2, 5, 6, 3, 0, false>;

}  // namespace

TEST_CASE("WindowedCosineAttention: pads, rolls, masks and attends as the original; equal bits for any threads",
          "[blocks][windowed_cosine_attention]") {
  check_case<Even>(0);
  check_case<Even>(2);
  check_case<Odd>(0);
  check_case<Odd>(2);
  check_case<Wide>(1);
  check_case<OneWindow>(0);
  check_case<Elsewhere>(1);
  check_case<Unbiased>(1);
}

TEST_CASE("WindowedCosineAttention: a temperature is at most 100", "[blocks][windowed_cosine_attention]") {
  using Square = Case<double, 12, 3, 4, 4, 4>;
  const Square block;
  const double logits[]{4, 4.605170185988092, 7};
  auto w = block.weights.weights();
  w.logit_scale = Tensor<const double, 3, 1, 1>(logits);
  Square::Block::prepare(Exec(), w, block.prepared);
  CHECK(block.prepared.scale(0) == std::exp(4.));
  CHECK(block.prepared.scale(1) == block.prepared.scale(2));
  CHECK(std::abs(block.prepared.scale(2) - 100) < 1e-12);
}

TEST_CASE("WindowedCosineAttention: dropout of probabilities and of the result, window by window",
          "[blocks][windowed_cosine_attention]") {
  constexpr int dim = 24, heads = 2, length = 16;
  const Case<double, dim, heads, 7, 9, 4> block;
  const auto factors = [&](const char* name, std::size_t count) {
    Numbers kept = in_double(drawn<double>(name, count));
    for (double& v : kept) v = v < -.5 ? 0 : 1 / .75;
    return kept;
  };
  const reference::Keep keep{.probabilities = factors("p", block.windows * heads * length * length),
                             .attended = factors("a", block.windows * length * dim)};
  for (const int shift : {0, 2}) {
    const blocks::SwinKeep<double> given{.probabilities = keep.probabilities.data(), .attended = keep.attended.data()};
    CHECK(relative_l2(in_double(block.run(Exec(), shift, given)), block.exact(shift, keep)) < bound<double>);
  }
}
