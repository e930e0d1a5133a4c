// Continues a simulation for some steps and draws the last one beside what the simulation did:
//   02_rollout_to_png WEIGHTS DATA PICTURE
#include <fieldstep/embed/emulator.hpp>
#include <fieldstep/io/dataset/dataset.hpp>
#include <fieldstep/io/panels.hpp>
#include <fieldstep/io/weights.hpp>
#include <fieldstep/models/avit.hpp>

#include <cstdio>
#include <vector>

using namespace fieldstep;

struct Micro : models::AvitDefaults {
  static constexpr int embed_dim = 32, heads = 2, blocks = 2;
};
using Net = models::AViT<Micro, Grid<4, 128, 128, 2>>;  // PDEBench diffusion-reaction: activator and inhibitor

int main(int argc, char* argv[]) try {
  if (argc != 4) fail_usage("wanted: 02_rollout_to_png WEIGHTS DATA PICTURE");
  const Kokkos::ScopeGuard kokkos;
  const io::Dataset data = io::open_dataset(argv[2]);
  const io::DatasetInfo& info = data.info();
  if (info.fields.size() != Net::fields || info.height != 128 || info.width != 128)
    fail(argv[2], ": ", info.name, " on ", info.height, "x", info.width, ", wanted two fields on 128x128");

  embed::Emulator<Net> emulator;
  io::load_weights(argv[1], emulator.table(), emulator.weights());
  emulator.condition({.labels = info.labels});  // both boundaries open

  constexpr std::size_t steps = 3, size = embed::Emulator<Net>::frame_size;
  const std::vector<float> window = data.read_frames(0, 0, Net::frames);
  for (std::size_t t = 0; t < Net::frames; ++t) emulator.observe(&window[t * size]);
  std::vector<float> forecast(size);
  for (std::size_t step = 0; step < steps; ++step) emulator.step(forecast.data());

  const std::vector<float> reference = data.read_frames(0, Net::frames + steps - 1, 1);
  io::Panels panels{.title = info.name + ", step 3", .height = info.height, .width = info.width, .rows = {}};
  for (std::size_t f = 0; f < Net::fields; ++f)
    panels.rows.push_back({.field = info.fields[f],
                           .unit = info.units[f],
                           .reference = std::span(reference).subspan(f * Net::pixels, Net::pixels),
                           .forecast = std::span(forecast).subspan(f * Net::pixels, Net::pixels)});
  io::write_panels(argv[3], panels);
  std::printf("%s\n", argv[3]);
} catch (const Error& error) {
  std::fprintf(stderr, "02_rollout_to_png: %s\n", error.what());
  return 1;
}
