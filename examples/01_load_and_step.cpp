// Loads a checkpoint and computes the frame that follows a few given ones: 01_load_and_step WEIGHTS
#include <fieldstep/embed/emulator.hpp>
#include <fieldstep/io/weights.hpp>
#include <fieldstep/models/avit.hpp>

#include <array>
#include <cmath>
#include <cstdio>
#include <vector>

using namespace fieldstep;

struct Micro : models::AvitDefaults {  // the sizes of the weights; models::AvitTi, AvitS, ... are there already
  static constexpr int embed_dim = 32, heads = 2, blocks = 2;
};
using Net = models::AViT<Micro, Grid<4, 64, 64, 1>>;  // four frames of one field on 64 x 64 points

int main(int argc, char* argv[]) try {
  if (argc != 2) fail_usage("wanted: 01_load_and_step WEIGHTS");
  const Kokkos::ScopeGuard kokkos;
  embed::Emulator<Net> emulator;  // the only allocation
  io::load_weights(argv[1], emulator.table(), emulator.weights());
  constexpr std::array labels{0};  // of MPP's vocabulary: the height of shallow water
  emulator.condition({.labels = labels});

  std::vector<float> frame(emulator.frame_size);
  for (int t = 0; !emulator.ready(); ++t) {  // a wave that travels along x
    for (std::size_t i = 0; i < frame.size(); ++i)
      frame[i] = 1 + 0.1f * std::sin(0.0982f * static_cast<float>(i / 64) - 0.2f * static_cast<float>(t));
    emulator.observe(frame.data());
  }
  emulator.step(frame.data());
  std::printf("h(0, 0) after the step: %g\n", static_cast<double>(frame[0]));
} catch (const Error& error) {
  std::fprintf(stderr, "01_load_and_step: %s\n", error.what());
  return 1;
}
