#pragma once
#include <benchmarks/machine.hpp>
#include <fieldstep/core/arena.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>
#include <utility>

namespace fieldstep::benchmarks {

/// Bytes a second of x = y + 0.5 z, three arrays of `count` floats for every thread: the best of short runs over
/// `seconds`.
inline double triad(const Exec& exec, std::size_t count, double seconds = .3) {
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

}  // namespace fieldstep::benchmarks
