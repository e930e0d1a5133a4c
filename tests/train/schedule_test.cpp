#include <fieldstep/train/concepts.hpp>
#include <fieldstep/train/schedule/mpp.hpp>
#include <fieldstep/train/schedule/poseidon.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

using namespace fieldstep::train;
using Catch::Matchers::WithinRel;

static_assert(Schedule<Constant> && Schedule<ExponentialDecay> && Schedule<CosineDecay> && Schedule<PolynomialDecay>);
static_assert(Schedule<WarmupCosine> && Schedule<WarmupExponential> && Schedule<PiecewiseConstant>);
static_assert(Schedule<CosineOneCycle> && Schedule<LinearOneCycle>);
static_assert(Schedule<MppAnnealing> && Schedule<MppWarmupCosine> && Schedule<PoseidonCosine>);
static_assert(!Schedule<double>);

// optax' values at t = 0 ... 24 are a golden case (trainax/optimizers); these are the corners.

TEST_CASE("schedules: where they begin, end and stay", "[train][schedule]") {
  const CosineDecay cosine{.init = 2, .steps = 10, .alpha = .25};
  CHECK(cosine(0) == 2);
  CHECK_THAT(cosine(5), WithinRel(1.25, 1e-15));
  CHECK(cosine(10) == .5);
  CHECK(cosine(1000) == .5);

  const LinearDecay linear{.init = 1, .end = 3, .steps = 4, .begin = 2};
  CHECK(linear(0) == 1);
  CHECK(linear(2) == 1);
  CHECK(linear(3) == 1.5);
  CHECK(linear(7) == 3);

  const WarmupCosine warmup{.peak = 4, .warmup = 4, .total = 12, .end = 1};
  CHECK(warmup(0) == 0);  // the first update is empty
  CHECK(warmup(3) == 3);
  CHECK(warmup(4) == 4);
  CHECK_THAT(warmup(8), WithinRel(2.5, 1e-15));
  CHECK(warmup(12) == 1);
  CHECK(warmup(99) == 1);
}

TEST_CASE("schedules: nothing to wait for, no division by zero", "[train][schedule]") {
  CHECK(WarmupCosine{.peak = 2, .warmup = 0, .total = 8}(0) == 2);
  CHECK(WarmupCosine{.peak = 2, .warmup = 3, .total = 3, .end = .5}(3) == .5);
  CHECK(WarmupCosine{.peak = 0, .warmup = 0, .total = 8, .end = .5}(8) == 0);
  CHECK(CosineDecay{.init = 2, .steps = 0, .alpha = .5}(0) == 1);
  CHECK(ExponentialDecay{.init = 2, .steps = 0, .rate = .5}(7) == 2);
  CHECK(CosineOneCycle{.steps = 10, .peak = 3, .pct_start = 0}(0) == 3);
  CHECK(LinearOneCycle{.steps = 10, .peak = 3, .pct_start = 0, .pct_final = 0}(0) == 3. / 25);
  CHECK(PoseidonCosine{.peak = 2, .total = 0}(0) == 2);
}

TEST_CASE("ExponentialDecay: grows to its end as it decays to it", "[train][schedule]") {
  const ExponentialDecay down{.init = 1, .steps = 2, .rate = .5, .staircase = true, .end = .3};
  CHECK(down(1) == 1);
  CHECK(down(2) == .5);
  CHECK(down(4) == .3);
  const ExponentialDecay up{.init = 1, .steps = 1, .rate = 2, .begin = 3, .end = 5};
  CHECK(up(3) == 1);
  CHECK(up(5) == 4);
  CHECK(up(6) == 5);
}

TEST_CASE("PiecewiseConstant: a scale holds from its step on, in any order", "[train][schedule]") {
  const PiecewiseConstant halves{.init = 8, .scales = {{6, .5}, {2, .5}}};
  CHECK(halves(1) == 8);
  CHECK(halves(2) == 4);
  CHECK(halves(6) == 2);
}

TEST_CASE("MPP's schedules: the slips are there", "[train][schedule]") {
  const MppAnnealing shipped{.steps = 100};
  CHECK(shipped(0) == 1);
  CHECK_THAT(shipped(100), WithinRel(-.01, 1e-12));
  const MppWarmupCosine positive{.lr = 2};
  CHECK_THAT(positive(0), WithinRel(.02, 1e-12));
  CHECK_THAT(positive(500), WithinRel(1.01, 1e-12));
  CHECK(positive(1000) == 2);
  CHECK_THAT(positive(1500), WithinRel(.02, 1e-12));
  CHECK_THAT(positive(2000), WithinRel(2., 1e-12));  // it swings
}

TEST_CASE("PoseidonCosine: warm-up by ratio, rounded up", "[train][schedule]") {
  const PoseidonCosine schedule{.peak = 6, .total = 11, .warmup_ratio = .25};  // 2.75, so 3 updates
  CHECK(schedule(0) == 0);
  CHECK(schedule(2) == 4);
  CHECK(schedule(3) == 6);
  CHECK_THAT(schedule(7), WithinRel(3., 1e-12));
  CHECK(schedule(11) == 0);
  CHECK(PoseidonCosine{.peak = 6, .total = 11}(0) == 6);
}
