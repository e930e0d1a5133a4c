#include <fieldstep/models/scot.hpp>
#include <support/allocations.hpp>
#include <support/compare.hpp>
#include <support/drawn_weights.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

/// Two resolutions with shifted windows on the first and blocks on its skip.
struct Small : models::ScotDefaults {
  static constexpr int embed_dim = 24, window = 4, out_channels = 2;
  static constexpr std::array depths{2, 2}, heads{2, 4}, skip_blocks{1, 0};
};
/// One window for everything, and nothing else that looks beyond it.
struct OneWindow : Small {
  static constexpr int window = 8;
  static constexpr std::array skip_blocks{0, 0};
};

/// A network with drawn weights and everything that a step needs.
template <class Config, class Grid, class Real = float>
struct Case {
  using Net = models::ScOT<Config, Grid, Real>;
  static constexpr std::size_t in_size = static_size<typename Net::In>(), out_size = static_size<typename Net::Out>();
  static constexpr int batch = Net::chunk + 2;  // more than one chunk, the last one not full

  Arena<Real> arena{Net::arena_size}, memory{Net::prepared_size};
  typename Net::Weights weights;
  typename Net::Prepared prepared;
  Arena<Real> time = drawn<Real>("time", batch, .5, .5);

  Case() {
    draw_weights(Net::table(), arena.data());
    weights = bind<typename Net::Weights>(static_cast<const Real*>(arena.data()));
    prepared = Net::prepare(weights, {}, memory.data());
  }

  /// The result of samples first, first + 1, ...; the workspace begins as NaN.
  Arena<Real> forward(const Exec& exec, const Arena<Real>& x, int first, int count) const {
    const auto y = constant<Real>(static_cast<std::size_t>(count) * out_size),
               work = constant<Real>(Net::workspace_size);
    step(exec, x, first, count, y, work);
    return y;
  }
  void step(const Exec& exec, const Arena<Real>& x, int first, int count, const Arena<Real>& y,
            const Arena<Real>& work) const {
    Net::forward(exec, weights, prepared, typename Net::In(x.data() + static_cast<std::size_t>(first) * in_size, count),
                 time.data() + first, typename Net::Out(y.data(), count), work.data());
  }
};

}  // namespace

TEST_CASE("ScOT: equal bits for one thread and two, one sample and a batch; no allocation",
          "[models][scot][property]") {
  using Odd = Case<Small, Grid<1, 28, 36, 3>>;  // 7 x 9 tokens: windows, merging and unmerging are padded
  const Odd network;
  const auto x = drawn<float>("x", Odd::batch * Odd::in_size);
  const auto together = network.forward(Exec(), x, 0, Odd::batch);
  CHECK(same_bits(together, network.forward(one_thread(), x, 0, Odd::batch)));
  for (int s = 0; s < Odd::batch; ++s) {
    const auto alone = network.forward(Exec(), x, s, 1);
    CHECK(std::equal(alone.data(), alone.data() + alone.size(), together.data() + alone.size() * std::size_t(s)));
  }

  const auto y = constant<float>(Odd::batch * Odd::out_size), work = constant<float>(Odd::Net::workspace_size);
  const Exec exec;
  std::int64_t allocations = 0;
  {
    const AllocationCounter counter;
    network.step(exec, x, 0, Odd::batch, y, work);
    allocations = counter.allocations();
  }
  CHECK(allocations == 0);
}

TEST_CASE("ScOT: the production pass and the full one agree on a grid that is not square", "[models][scot]") {
  using Wide = Case<Small, Grid<1, 32, 56, 3>, double>;
  const Wide network;
  const auto x = drawn<double>("x", Wide::in_size), y = constant<double>(Wide::out_size);
  const auto work = constant<double>(Wide::Net::full_workspace_size(1));
  Wide::Net::forward_full(Exec(), network.weights, network.prepared, Wide::Net::In(x.data(), 1), network.time.data(),
                          Wide::Net::Out(y.data(), 1), work.data());
  CHECK(relative_l2(in_double(network.forward(Exec(), x, 0, 1)), in_double(y)) < 1e-13);
}

TEST_CASE("ScOT: where nothing looks across, a wide or a tall grid is two square ones", "[models][scot]") {
  constexpr int n = 32, fields = 3, seam = 2;  // the last convolution reaches two points
  using Square = Case<OneWindow, Grid<1, n, n, fields>, double>;
  using Wide = Case<OneWindow, Grid<1, n, 2 * n, fields>, double>;
  using Tall = Case<OneWindow, Grid<1, 2 * n, n, fields>, double>;
  const Square square;
  const auto x = drawn<double>("x", 2 * Square::in_size), wide_x = constant<double>(Wide::in_size);
  const auto tall_x = constant<double>(Tall::in_size);
  square.time.data()[1] = square.time.data()[0];
  for (int half = 0; half < 2; ++half)
    for (int f = 0; f < fields; ++f)
      for (int i = 0; i < n; ++i)
        for (int j = 0; j < n; ++j) {
          const double value = x.data()[((half * fields + f) * n + i) * n + j];
          wide_x.data()[(f * n + i) * 2 * n + half * n + j] = value;
          tall_x.data()[(f * 2 * n + half * n + i) * n + j] = value;
        }
  const auto halves = square.forward(Exec(), x, 0, 2);
  const auto wide = Wide().forward(Exec(), wide_x, 0, 1), tall = Tall().forward(Exec(), tall_x, 0, 1);
  double largest = 0;
  for (int half = 0; half < 2; ++half)
    for (int f = 0; f < Square::Net::out_fields; ++f)
      for (int i = 0; i < n; ++i)
        for (int j = 0; j < n; ++j) {
          const auto inside = [=](int k) { return half == 0 ? k < n - seam : k >= seam; };
          const double wanted = halves.data()[((half * Square::Net::out_fields + f) * n + i) * n + j];
          if (inside(j))
            largest = std::max(largest, std::abs(wide.data()[(f * n + i) * 2 * n + half * n + j] - wanted));
          if (inside(i))
            largest = std::max(largest, std::abs(tall.data()[(f * 2 * n + half * n + i) * n + j] - wanted));
        }
  CHECK(largest < 1e-12);
}

TEST_CASE("ScOT: the published variants have the original's parameters and work", "[models][scot]") {
  using Pdes = Grid<1, 128, 128, 4>;
  static_assert(param_count(make_param_table<models::ScOT<models::PoseidonT, Pdes>::Params<float>>()) == 20'774'444);
  static_assert(param_count(make_param_table<models::ScOT<models::PoseidonS, Pdes>::Params<float>>()) == 39'901'076);
  static_assert(param_count(make_param_table<models::ScOT<models::PoseidonB, Pdes>::Params<float>>()) == 157'729'988);
  static_assert(param_count(make_param_table<models::ScOT<models::PoseidonL, Pdes>::Params<float>>()) == 628'575'524);
  // The original computes the position biases in every step, 0.137 GFLOP that are made once here.
  CHECK(std::abs(models::ScOT<models::PoseidonT, Pdes>::flop(1) - (2.923e9 - 0.139e9)) < 2e6);
  CHECK(models::ScOT<models::PoseidonT, Pdes>::flop(4) == 4 * models::ScOT<models::PoseidonT, Pdes>::flop(1));
}
