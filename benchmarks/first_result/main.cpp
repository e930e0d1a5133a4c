// How long a solver that starts waits for its first forecast: from the start of the process to the end of AViT-Ti's
// first step (four frames of three fields, 128 x 128), its 29 MB of weights mapped from a file and packed on the way.
//   benchmark_first_result [RUNS]
// The program writes the weights, then runs itself RUNS times with the time of the start as its argument.
#include <benchmarks/machine.hpp>
#include <fieldstep/core/init.hpp>
#include <fieldstep/embed/emulator.hpp>
#include <fieldstep/io/weights.hpp>
#include <fieldstep/models/avit.hpp>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using namespace fieldstep;
using Net = models::AViT<models::AvitTi, Grid<4, 128, 128, 3>>;

/// Milliseconds of a clock that all processes share.
double now() {
  using Milliseconds = std::chrono::duration<double, std::milli>;
  return Milliseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// What the solver does; prints the milliseconds since `start`.
int first_result(const char* weights, double start) {
  const Kokkos::ScopeGuard kokkos(Kokkos::InitializationSettings().set_disable_warnings(true));
  embed::Emulator<Net> emulator;
  io::load_weights(weights, emulator.table(), emulator.weights());
  emulator.condition({.labels = std::array{0, 1, 2}});
  std::vector<float> frame(emulator.frame_size);
  for (int t = 0; !emulator.ready(); ++t) {
    for (std::size_t i = 0; i < frame.size(); ++i)
      frame[i] = std::sin(0.01f * static_cast<float>(i) + static_cast<float>(t));
    emulator.observe(frame.data());
  }
  emulator.step(frame.data());
  std::printf("%.2f\n", now() - start);
  return std::isfinite(frame[0]) ? 0 : 1;
}

/// Runs this program as the solver; milliseconds to its first result.
double measure(const std::string& program, const std::string& weights) {
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) fail("first_result: no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  std::string start = std::to_string(now()), path = program, file = weights;
  const std::array<char*, 4> arguments{path.data(), file.data(), start.data(), nullptr};
  pid_t child = 0;
  const bool started = posix_spawn(&child, path.c_str(), &actions, nullptr, arguments.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  std::array<char, 64> text{};
  const bool answered = started && ::read(pipe[0], text.data(), text.size() - 1) > 0;
  ::close(pipe[0]);
  if (started) ::waitpid(child, nullptr, 0);
  if (!answered) fail("first_result: ", program, " gave no result");
  return std::atof(text.data());
}

}  // namespace

int main(int argc, char* argv[]) try {
  if (argc == 3) return first_result(argv[1], std::atof(argv[2]));

  // Threads that start on one processor take turns there for up to 20 ms; a solver binds its own as well.
  ::setenv("OMP_PROC_BIND", "true", 0);
  const int runs = argc == 2 ? std::atoi(argv[1]) : 20;
  const auto weights = std::filesystem::temp_directory_path() / ("first_result." + std::to_string(::getpid()));
  {
    const Kokkos::ScopeGuard kokkos(Kokkos::InitializationSettings().set_disable_warnings(true));
    benchmarks::print_machine();
    const Arena<float> arena(Net::arena_size);
    initialise(Net::table(), arena.data(), Key{0, 0}, Framework::torch);
    io::save_weights(weights, Net::table(), arena.data(), io::WeightFormat::safetensors);
  }
  std::vector<double> times;
  for (int run = 0; run < runs; ++run) times.push_back(measure("/proc/self/exe", weights));
  std::filesystem::remove(weights);
  std::ranges::sort(times);
  std::printf("first result after %.1f ms (least), %.1f ms (median), %.1f ms (most of %d runs)\n", times.front(),
              times[times.size() / 2], times.back(), runs);
} catch (const std::exception& error) {
  std::fprintf(stderr, "first_result: %s\n", error.what());
  return 1;
}
