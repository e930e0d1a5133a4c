#include <fieldstep/core/error.hpp>
#include <fieldstep/embed/emulator.hpp>
#include <fieldstep/models/avit.hpp>
#include <support/allocations.hpp>
#include <support/random_network.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <vector>

using namespace fieldstep;

namespace {

struct Micro : models::AvitDefaults {
  static constexpr int embed_dim = 32, heads = 2, blocks = 2;
};
using Net = models::AViT<Micro, Grid<3, 32, 48, 2>>;
constexpr std::array labels{4, 5};

template <class N>
void make_ready(N& network) {
  support::random_weights(network.table(), network.weights(), 1);
  network.condition({.labels = labels, .along_x = models::Boundary::periodic});
}

}  // namespace

TEST_CASE("Emulator: a step allocates nothing", "[embed][emulator]") {
  embed::Emulator<Net> emulator;
  make_ready(emulator);
  const std::vector<float> frames = support::random_numbers<float>(5 * emulator.frame_size, 2);
  std::vector<float> next(emulator.frame_size);
  const support::AllocationCounter counter;
  for (int t = 0; t < 5; ++t) {
    emulator.observe(&frames[static_cast<std::size_t>(t) * emulator.frame_size]);
    if (emulator.ready()) emulator.step(next.data());
  }
  CHECK(counter.allocations() == 0);
  CHECK(counter.deallocations() == 0);
}

TEST_CASE("Emulator: each step continues the forecast of the step before", "[embed][emulator]") {
  embed::Emulator<Net> emulator;
  embed::Network<Net> network;
  make_ready(emulator);
  make_ready(network);
  constexpr std::size_t size = embed::Network<Net>::frame_size;
  std::vector<float> frames = support::random_numbers<float>(3 * size, 3), next(size);
  for (std::size_t t = 0; t < 3; ++t) {
    CHECK_FALSE(emulator.ready());
    emulator.observe(&frames[t * size]);
  }
  for (int step = 0; step < 4; ++step) {
    frames.resize(frames.size() + size);
    network.forward(1, &frames[frames.size() - 4 * size], &frames[frames.size() - size]);
    emulator.step(next.data());
    CHECK(std::equal(next.begin(), next.end(), frames.end() - static_cast<std::ptrdiff_t>(size)));
    CHECK(std::isfinite(next[0]));
  }
  emulator.restart();
  CHECK_FALSE(emulator.ready());
}

TEST_CASE("Emulator: labels that do not fit are refused by name", "[embed][emulator]") {
  embed::Emulator<Net> emulator;
  CHECK_THROWS_AS(emulator.condition({.labels = std::array{0}}), Error);
  CHECK_THROWS_AS(emulator.condition({.labels = std::array{0, 12}}), Error);
}

TEST_CASE("Network: a sample has the same bits alone and in a batch", "[embed][network]") {
  embed::Network<Net> network;
  make_ready(network);
  constexpr std::size_t batch = 4, size = embed::Network<Net>::frame_size, window = 3 * size;
  const std::vector<float> x = support::random_numbers<float>(batch * window, 4);
  std::vector<float> together(batch * size), alone(size);
  network.forward(batch, x.data(), together.data());
  for (std::size_t sample = 0; sample < batch; ++sample) {
    network.forward(1, &x[sample * window], alone.data());
    CHECK(std::equal(alone.begin(), alone.end(), &together[sample * size]));
  }
}

#ifdef KOKKOS_ENABLE_SERIAL
TEST_CASE("Network: one thread gives the bits of many", "[embed][network]") {
  embed::Network<Net> many;
  embed::Network<Net, Kokkos::Serial> one;
  make_ready(many);
  make_ready(one);
  const std::vector<float> x = support::random_numbers<float>(3 * many.frame_size, 5);
  std::vector<float> a(many.frame_size), b(many.frame_size);
  many.forward(1, x.data(), a.data());
  one.forward(1, x.data(), b.data());
  CHECK(a == b);
}
#endif
