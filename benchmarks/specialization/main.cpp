// What it gains that extents are part of a type: one transformer block of AViT-Ti compiled for its sizes, the same code
// with extents as run-time numbers, and the library's own block, alternating on one thread.
// The other half of the answer: benchmarks/compile/compile.py BUILD --match 'specialization/f\w+\.cpp$'
#include <benchmarks/machine.hpp>
#include <benchmarks/specialization/blocks.hpp>
#include <fieldstep/blocks/axial_attention.hpp>
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/init.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

namespace {

using namespace fieldstep;
using namespace fieldstep::benchmarks::specialization;

using Block = blocks::AxialAttentionBlock<float, dim, heads, rows, columns>;
constexpr int samples = 4, tokens = samples * rows * columns;

Weights weights_of(const Block::Weights& w, const float* bias) {
  return {.norm1 = w.norm1.weight.data_handle(),
          .qkv = w.input_head.weight.data_handle(),
          .qkv_bias = w.input_head.bias.data_handle(),
          .qnorm_weight = w.qnorm.weight.data_handle(),
          .qnorm_bias = w.qnorm.bias.data_handle(),
          .knorm_weight = w.knorm.weight.data_handle(),
          .knorm_bias = w.knorm.bias.data_handle(),
          .bias_x = bias,
          .bias_y = bias,
          .norm2 = w.norm2.weight.data_handle(),
          .out = w.output_head.weight.data_handle(),
          .out_bias = w.output_head.bias.data_handle(),
          .gamma_att = w.gamma_att.data_handle(),
          .fc1 = w.mlp.fc1.weight.data_handle(),
          .fc1_bias = w.mlp.fc1.bias.data_handle(),
          .fc2 = w.mlp.fc2.weight.data_handle(),
          .fc2_bias = w.mlp.fc2.bias.data_handle(),
          .mlp_norm = w.mlp_norm.weight.data_handle(),
          .gamma_mlp = w.gamma_mlp.data_handle()};
}

struct Version {
  const char* name;
  std::function<void(float*)> run;
  std::vector<double> seconds = {};
  std::vector<float> result = {};
};

}  // namespace

int main(int argc, char* argv[]) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  const Kokkos::Serial exec;
  constexpr auto table = make_param_table<Block::Params<float>>();
  const Arena<float> arena(arena_count<Block::Params<float>>());
  initialise(table, arena.data(), make_key(0));
  const auto w = bind<Block::Weights>(static_cast<const float*>(arena.data()));
  std::fill_n(arena.data() + table[0].offset, table[0].stored, 1.f);  // layer scales, which start at 1e-6
  std::fill_n(arena.data() + table[1].offset, table[1].stored, 1.f);

  const Arena<float> bias(heads * rows * rows), scratch(scratch_size(samples, rows, columns, dim));
  blocks::RelativePositionBias<float, heads>::table<rows>(w.rel_pos_bias, blocks::Boundary::open, bias.data());
  const Weights pointers = weights_of(w, bias.data());
  float *memory = scratch.data(), *mixed = memory + 4 * tokens * dim;

  Version versions[] = {
      {"extents in the type", [&](float* x) { fixed_block(samples, pointers, x, memory); }},
      {"extents at run time", [&](float* x) { free_block(samples, rows, columns, dim, heads, pointers, x, memory); }},
      {"the library's block", [&](float* x) {
         Block::forward(exec, w, bias.data(), bias.data(), samples, x, x,
                        {memory, memory + 3 * tokens * dim, memory, mixed, mixed + tokens * dim, nullptr});
       }}};
  std::vector<float> x(tokens * dim);
  for (int repeat = 0; repeat < 200; ++repeat)
    for (Version& version : versions) {
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
      const auto start = std::chrono::steady_clock::now();
      version.run(x.data());
      version.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      version.result = x;
    }

  benchmarks::print_machine();
  std::printf("one block, %d samples of %d x %d tokens, %d channels, %d heads, one thread\n", samples, rows, columns,
              dim, heads);
  const double first = std::ranges::min(versions[0].seconds);
  for (const Version& version : versions) {
    double difference = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
      difference = std::max(difference, std::abs(static_cast<double>(version.result[i] - versions[0].result[i])));
    const double best = std::ranges::min(version.seconds);
    std::printf("%-20s  %.3f ms, %.2f times the first; largest difference from it %.1e\n", version.name, 1e3 * best,
                best / first, difference);
  }
}
