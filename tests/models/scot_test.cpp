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
    prepared = Net::prepare(Exec(), weights, {}, memory.data());
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
