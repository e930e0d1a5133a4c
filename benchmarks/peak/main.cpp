// What the machine can do at best: multiply-adds a second, and bytes a second from every level of its memory.
#include <benchmarks/machine.hpp>
#include <benchmarks/peak.hpp>
#include <benchmarks/triad.hpp>

#include <cstddef>

using namespace fieldstep;
using benchmarks::Exec;

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
    row(what, "GB/s",
        [kib = kib](const Exec& exec) { return benchmarks::triad(exec, static_cast<std::size_t>(kib) * 1024 / 4); });
}
