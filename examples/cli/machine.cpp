#include <examples/cli/machine.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/exec.hpp>

#include <time.h>
#include <unistd.h>
#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

#include <atomic>
#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

namespace fieldstep::cli {

namespace {

/// Moves the threads of the first team to different processors and lets the scheduler have them again. A new thread
/// starts where its creator runs, and as both spin at their barriers they take turns there, for up to 20 ms, until the
/// scheduler balances its processors: as long as a whole step takes.
void spread_first_team([[maybe_unused]] int threads) {
#if defined(_OPENMP) && defined(__linux__)
  cpu_set_t allowed;
  if (threads < 2 || sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < threads) return;
  std::atomic<int> placed = 0;
#pragma omp parallel num_threads(threads)
  {
    const int thread = omp_get_thread_num(), team = omp_get_num_threads();
    int cpu = -1;
    for (int i = 0; i <= thread; ++i) {
      do ++cpu;
      while (!CPU_ISSET(cpu, &allowed));
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    sched_setaffinity(0, sizeof allowed, &allowed);
    ++placed;
    while (thread == 0 && placed < team) std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
#endif
}

Kokkos::InitializationSettings settings_for(int threads) {
  auto settings =
      Kokkos::InitializationSettings().set_disable_warnings(true);  // of OMP_PROC_BIND: binding is the user's
  if (threads > 0) settings.set_num_threads(threads);
#if defined(_OPENMP)
  if (threads > 0) omp_set_num_threads(threads);  // Kokkos counts the threads of a first team, and makes them for it
  spread_first_team(omp_get_max_threads());
#endif
  return settings;
}

}  // namespace

KokkosThreads::KokkosThreads(int threads) {
  if (!Kokkos::is_initialized()) guard_.emplace(settings_for(threads));
  const int running = workers(Kokkos::DefaultHostExecutionSpace());
  if (threads > 0 && running != threads)
    fail_usage("--threads: found ", threads, ", but this program was built to run on ", running);
}

double peak_rss_mib() {
  // Not getrusage: its maximum begins with that of the program that started this one.
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
  return 0;
}

double seconds_since_start() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');
  timespec now{};
  if (name_end == text.npos || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return -1;
  std::istringstream rest(text.substr(name_end + 1));
  constexpr int fields_before_start = 19;  // start time is the 22nd field, the name the 2nd
  std::string skipped;
  for (int i = 0; i < fields_before_start; ++i) rest >> skipped;
  double ticks = 0;
  if (!(rest >> ticks)) return -1;
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec) -
         ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace fieldstep::cli
