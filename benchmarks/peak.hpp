#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/vec.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>

namespace fieldstep::benchmarks {

/// Twelve chains of multiply-adds that wait for nothing but themselves: more than any processor of today keeps under
/// way at once, and with two factors they fit 16 registers. The result must be used, or nothing is computed.
template <class Real>
[[gnu::noinline]] Real multiply_add(long rounds) {
  constexpr int chains = 12, L = ops::lanes<Real>;
  std::array<ops::vec<Real, L>, chains> x;
  for (int c = 0; c < chains; ++c) x[static_cast<std::size_t>(c)] = ops::broadcast<L>(static_cast<Real>(c));
  const ops::vec<Real, L> a = ops::broadcast<L>(Real(0.999)), b = ops::broadcast<L>(Real(0.001));
  for (long r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (auto& chain : x) chain = ops::multiply_add<Real, L>(chain, a, b);
  for (int c = 1; c < chains; ++c) x[0] += x[static_cast<std::size_t>(c)];
  return ops::sum<Real, L>(x[0]);
}

/// Largest number of floating-point operations a second that all threads of `exec` reach together, by wall clock, with
/// the instruction set this unit is compiled for: the best of short runs over `seconds`.
template <class Real, class Exec>
double multiply_add_peak(const Exec& exec, double seconds = 0.2) {
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  constexpr long rounds = 100'000;  // a few tenths of a millisecond
  const int threads = workers(exec);
  const double flop = 2.0 * 12 * ops::lanes<Real> * rounds * threads;
  volatile Real sink = 0;
  double best = std::numeric_limits<double>::infinity();
  const auto begin = Clock::now();
  while (Seconds(Clock::now() - begin).count() < seconds) {
    const auto start = Clock::now();
    for_ranges(exec, threads, [&sink](int, int) {
      const Real result = multiply_add<Real>(rounds);
      if (result < 0) sink = result;  // never: the values stay positive
    });
    exec.fence();
    best = std::min(best, Seconds(Clock::now() - start).count());
  }
  return flop / best;
}

}  // namespace fieldstep::benchmarks
