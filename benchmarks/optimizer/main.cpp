// Bytes a second of optimizers over ScOT-T's 20.8 million parameters, beside the memory's: a triad x = y + 0.5 z of
// arrays far beyond the caches. Counted is what a pass reads and writes of each array, four bytes a number (AdamW: w,
// g, m, v in, w, m, v out: 28 a parameter); a triad's store reads its line first, which is not counted, so a pass,
// which stores only where it has read, may go beyond 100 %.
//   benchmark_optimizer [--benchmark_filter=REGEX] [--benchmark_format=json] ...
#include <benchmarks/triad.hpp>
#include <fieldstep/models/scot.hpp>
#include <fieldstep/models/scot_variants.hpp>
#include <fieldstep/train/chain.hpp>
#include <fieldstep/train/clip.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/optimizer/dadapt_adam.hpp>
#include <fieldstep/train/optimizer/dadapt_adan.hpp>
#include <fieldstep/train/optimizer/lion.hpp>
#include <fieldstep/train/optimizer/sgd.hpp>

#include <benchmark/benchmark.h>
#include <string>

namespace {

using namespace fieldstep;
using benchmarks::Exec;

ParamTable table() { return models::ScOT<models::PoseidonT, Grid<1, 128, 128, 4>>::table(); }

/// Some numbers without special values, and zero padding.
Arena<float> numbers(const train::ParameterGroups& groups, std::size_t salt) {
  const auto arena = groups.arena<float>();
  for (const train::ParameterRun& run : groups.runs())
    for (std::size_t i = run.begin; i < run.begin + static_cast<std::size_t>(run.size); ++i)
      arena.data()[i] = static_cast<float>((i + salt) * 2654435761 % 1024 + 1) / 512 - 1;
  return arena;
}

template <class Optimizer>
void time_steps(benchmark::State& state, const Exec& exec, const Optimizer& optimizer, double bytes) {
  using Clock = std::chrono::steady_clock;
  // Arrays a power of two apart would push each other out of the caches: a fifth less.
  const auto memory = [&] { return benchmarks::triad(exec, (std::size_t{32} << 20) + 512); };
  const train::ParameterGroups groups(table());
  const auto weights = numbers(groups, 0), gradient = numbers(groups, 7);
  auto moments = optimizer.template make_state<float>(groups);
  double triad = memory(), best = std::numeric_limits<double>::infinity();
  long t = 0;
  for ([[maybe_unused]] auto _ : state) {
    const auto start = Clock::now();
    optimizer.step(exec, groups, t++, weights.data(), gradient.data(), moments);
    exec.fence("step");
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    state.SetIterationTime(seconds);
    if (t > 1) best = std::min(best, seconds);  // the first touches the moments
  }
  triad = std::max(triad, memory());
  const double rate = bytes * static_cast<double>(groups.count()) / best;
  state.counters["GB/s"] = 1e-9 * rate;
  state.counters["triad GB/s"] = 1e-9 * triad;
  state.counters["% of triad"] = 100 * rate / triad;
  state.counters["best s"] = best;
}

template <class Optimizer>
void add_case(const std::string& name, const Exec& exec, double bytes, const Optimizer& optimizer) {
  const auto run = [=](benchmark::State& state) { time_steps(state, exec, optimizer, bytes); };
  const std::string full = name + "/threads:" + std::to_string(workers(exec));
  benchmark::RegisterBenchmark(full.c_str(), run)->UseManualTime()->Unit(benchmark::kMillisecond)->MinTime(2);
}

}  // namespace

int main(int argc, char* argv[]) {
  using namespace fieldstep::train;
  const Kokkos::ScopeGuard kokkos(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  for (const Exec& exec : benchmarks::thread_counts()) {
    add_case("AdamW", exec, 28, AdamW<>{});
    add_case("clip by norm, AdamW", exec, 4 + 28, Chain{ClipGradNorm{1}, AdamW<>{}});
    add_case("SGD", exec, 12, SGD<>{});
    add_case("SGD with momentum", exec, 20, SGD<>{.momentum = .9});
    add_case("Lion", exec, 20, Lion<>{});
    add_case("DAdaptAdam", exec, 28 + 16, DAdaptAdam<>{});
    add_case("DAdaptAdan", exec, 40 + 32, DAdaptAdan<>{});
  }
  benchmarks::print_machine();
  benchmark::RunSpecifiedBenchmarks();
}
