// What the machine can do at best: multiply-adds a second, and bytes a second from every level of its memory.
#include <benchmarks/machine.hpp>
#include <benchmarks/peak.hpp>
#include <fieldstep/core/arena.hpp>

#include <cstddef>

namespace {

using namespace fieldstep;
using benchmarks::Exec;

/// Bytes a second of x = y + 0.5 z, three arrays of `count` floats for every thread: the best of short runs over
/// `seconds`.
double triad(const Exec& exec, std::size_t count, double seconds = .3) {
  using Clock = std::chrono::steady_clock;
  constexpr int L = ops::lanes<float>;
  const int threads = workers(exec);
  const std::size_t passes = std::max<std::size_t>(1, (std::size_t{4} << 20) / (count * sizeof(float)));
  const Arena<float> memory(3 * count * static_cast<std::size_t>(threads));
  const auto arrays = [=](int thread) { return memory.data() + 3 * count * static_cast<std::size_t>(thread); };
  for_ranges(exec, threads, [=](int thread, int) {  // every thread touches its own memory first
    for (std::size_t i = 0; i < 3 * count; ++i) arrays(thread)[i] = 1;
  });
  double best = std::numeric_limits<double>::infinity();
  const auto begin = Clock::now();
  do {
    const auto start = Clock::now();
    for_ranges(exec, threads, [=](int thread, int) {
      float *x = arrays(thread), *y = x + count, *z = y + count;
      for (std::size_t pass = 0; pass < passes; ++pass) {
        for (std::size_t i = 0; i < count; i += L)
          ops::store<L>(x + i, ops::load<L>(y + i) + .5f * ops::load<L>(z + i));
        std::swap(x, y);  // or the compiler would do only the last pass
      }
    });
    exec.fence();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  } while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds);
  return 3. * sizeof(float) * static_cast<double>(count * passes) * threads / best;
}

}  // namespace

int main(int argc, char* argv[]) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  benchmarks::print_machine();
  const auto instances = benchmarks::thread_counts();
  const auto row = [&](const char* what, const char* unit, const auto& measured) {
    std::printf("%-28s", what);
    for (const Exec& exec : instances) std::printf(" %9.1f", 1e-9 * measured(exec));
    std::printf("  %s\n", unit);
  };
  std::printf("%-28s", "threads");
  for (const Exec& exec : instances) std::printf(" %9d", workers(exec));
  std::printf("\n");
  row("multiply-add, float", "GFLOP/s", [](const Exec& exec) { return benchmarks::multiply_add_peak<float>(exec); });
  row("multiply-add, double", "GFLOP/s", [](const Exec& exec) { return benchmarks::multiply_add_peak<double>(exec); });
  for (const auto& [what, kib] : {std::pair{"triad, 3 x 8 KiB a thread", 8},
                                  {"triad, 3 x 64 KiB", 64},
                                  {"triad, 3 x 1 MiB", 1024},
                                  {"triad, 3 x 128 MiB", 128 * 1024}})
    row(what, "GB/s", [kib = kib](const Exec& exec) { return triad(exec, static_cast<std::size_t>(kib) * 1024 / 4); });
}
