#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/vec.hpp>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace fieldstep::benchmarks {

using Exec = Kokkos::DefaultHostExecutionSpace;

/// The instruction set this unit is compiled for.
constexpr const char* instruction_set() {
#if defined(__AVX512F__)
  return "AVX-512";
#elif defined(__AVX2__) && defined(__FMA__)
  return "AVX2 and FMA";
#elif defined(__AVX__)
  return "AVX";
#else
  return "the compiler's default";
#endif
}

inline std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

/// What a table of numbers is worth nothing without.
inline void print_machine() {
  std::printf("%s, %d threads; g++ or clang %s for %s, %d floats a register; Kokkos %d.%d.%d\n", processor().c_str(),
              workers(Exec()), __VERSION__, instruction_set(), ops::lanes<float>, KOKKOS_VERSION / 10000,
              KOKKOS_VERSION / 100 % 100, KOKKOS_VERSION % 100);
}

/// One thread, two, four, ... and all of them.
inline std::vector<Exec> thread_counts() {
  const Exec all;
  std::vector<Exec> instances;
  for (int threads = 1; threads < workers(all); threads *= 2)
    instances.push_back(Kokkos::Experimental::partition_space(all, threads, workers(all) - threads)[0]);
  instances.push_back(all);
  return instances;
}

}  // namespace fieldstep::benchmarks
