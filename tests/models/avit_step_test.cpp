#include <fieldstep/core/init.hpp>
#include <fieldstep/models/avit.hpp>
#include <support/allocations.hpp>
#include <support/synth.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <vector>

using namespace fieldstep;

namespace {

struct Small : models::AvitDefaults {
  static constexpr int embed_dim = 48, heads = 3, blocks = 2;
};
using Net = models::AViT<Small, Grid<3, 32, 48, 3>>;
constexpr std::size_t out_size = 3 * 32 * 48, in_size = 3 * out_size;

/// A network with drawn weights and everything a step needs.
struct Ready {
  Arena<float> arena{Net::arena_size}, memory{Net::prepared_size}, workspace{Net::workspace_size};
  Net::Weights weights;
  Net::Prepared prepared;

  Ready() {
    initialise(Net::table(), arena.data(), make_key(1));
    weights = bind<Net::Weights>(static_cast<const float*>(arena.data()));
    prepared =
        Net::prepare(Kokkos::DefaultHostExecutionSpace(), weights, {.labels = std::array{0, 3, 5}}, memory.data());
  }

  template <class Exec>
  void step(const Exec& exec, const float* x, float* y, int batch) const {
    Net::forward(exec, weights, prepared, Net::In(x, batch), Net::Out(y, batch), workspace.data());
  }
};

constexpr int batch = Net::chunk + 3;  // more than one chunk, the last one not full
using Threads = Kokkos::DefaultHostExecutionSpace;

}  // namespace

TEST_CASE("AViT: a step allocates nothing", "[models][avit][allocations]") {
  const Ready net;
  const Threads exec;
  const std::vector<float> x = support::synth("x", batch * in_size);
  std::vector<float> y(batch * out_size);
  net.step(exec, x.data(), y.data(), batch);  // the first parallel region of a process starts its threads

  std::int64_t allocations = 0;
  {
    const support::AllocationCounter counter;
    net.step(exec, x.data(), y.data(), batch);
    allocations = counter.allocations();
  }
  CHECK(allocations == 0);
}

TEST_CASE("AViT: a sample's result has the same bits in any batch", "[models][avit][property]") {
  const Ready net;
  const std::vector<float> x = support::synth("x", batch * in_size);
  std::vector<float> together(batch * out_size), alone(batch * out_size);
  net.step(Threads(), x.data(), together.data(), batch);
  for (std::size_t b = 0; b < batch; ++b) net.step(Threads(), x.data() + b * in_size, alone.data() + b * out_size, 1);
  CHECK(together == alone);
}

TEST_CASE("AViT: one thread and two give the same bits", "[models][avit][property]") {
  const Ready net;
  const std::vector<float> x = support::synth("x", batch * in_size);
  std::vector<float> one(batch * out_size), two(batch * out_size);
  net.step(Kokkos::Serial(), x.data(), one.data(), batch);
  net.step(Threads(), x.data(), two.data(), batch);
  CHECK(one == two);
}
