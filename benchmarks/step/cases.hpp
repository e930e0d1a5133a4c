#pragma once
#include <benchmarks/machine.hpp>
#include <benchmarks/peak.hpp>
#include <fieldstep/core/arena.hpp>

#include <benchmark/benchmark.h>
#include <chrono>
#include <initializer_list>
#include <string>

// Operations and whole models beside the machine's peak. Every case alternates with a measurement of the multiply-add
// peak on the same threads: on a machine whose clock changes, only their ratio means something.
namespace fieldstep::benchmarks {

/// Registers the cases of one unit for an instance; `suffix` says its number of threads.
void add_matmul_cases(const Exec& exec, const std::string& suffix);
void add_matmul_avit_cases(const Exec& exec, const std::string& suffix);
void add_pointwise_cases(const Exec& exec, const std::string& suffix);
void add_attention_cases(const Exec& exec, const std::string& suffix);
void add_window_attention_cases(const Exec& exec, const std::string& suffix);
void add_avit_ti_cases(const Exec& exec, const std::string& suffix);
void add_avit_s_cases(const Exec& exec, const std::string& suffix);
void add_avit_b_cases(const Exec& exec, const std::string& suffix);

/// What one run needs to do, 0 where it is not counted: floating-point operations, bytes read and written once.
struct Work {
  double flop = 0, bytes = 0;
};

/// Numbers of no special values.
inline Arena<float> some_numbers(std::size_t count) {
  const Arena<float> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers.data()[i] = static_cast<float>(i * 2654435761 % 1024) / 512 - 1;
  return numbers;
}

/// Alternates runs of `step` with measurements of the peak.
template <class Step>
void time_case(benchmark::State& state, const Exec& exec, Work work, const Step& step) {
  using Clock = std::chrono::steady_clock;
  const auto timed = [&] {
    const auto start = Clock::now();
    step();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  timed();  // pages are touched, caches and clock come up
  double best = timed(), peak = 0;
  for ([[maybe_unused]] auto _ : state) {
    peak = std::max(peak, multiply_add_peak<float>(exec, 1e-3));
    double total = 0;
    int runs = 0;
    do {
      const double seconds = timed();
      total += seconds, ++runs;
      best = std::min(best, seconds);
    } while (total < 1e-3);
    state.SetIterationTime(total / runs);
  }
  if (work.flop > 0) {
    state.counters["GFLOP/s"] = 1e-9 * work.flop / best;
    state.counters["% of peak"] = 100 * work.flop / best / peak;
  }
  if (work.bytes > 0) state.counters["GB/s"] = 1e-9 * work.bytes / best;
  state.counters["best s"] = best;
}

/// Adds a case: make() allocates what it needs and returns the function to be timed. The time is the mean of all runs;
/// the rates are those of the fastest run, the share is that of the fastest run in the fastest measurement of the peak.
template <class Make>
void add_case(const std::string& name, const Exec& exec, Work work, const Make& make) {
  const auto run = [=](benchmark::State& state) { time_case(state, exec, work, make()); };
  benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Unit(benchmark::kMillisecond);
}

/// The same for a step whose memory is there already.
template <class Step>
void add_small_case(const std::string& name, const Exec& exec, Work work, const Step& step) {
  add_case(name, exec, work, [=] { return step; });
}

/// What a program of cases does: lets every function of `units` register its cases for one thread and for all, and runs
/// those that the command line asks for. Returns the exit code.
inline int run_cases(int argc, char* argv[],
                     std::initializer_list<void (*)(const Exec&, const std::string& suffix)> units) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  for (const Exec& exec : thread_counts())
    for (const auto add : units) add(exec, "/threads:" + std::to_string(workers(exec)));
  print_machine();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace fieldstep::benchmarks
