#pragma once
#include <fieldstep/core/exec.hpp>

#include <sched.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <thread>
#include <vector>

namespace fieldstep::train {

/// Calls run(k, exec) for k = 0, ..., count - 1, as many at a time as exec has threads, each with an execution space of
/// one thread: trainings too small to share, such as one model from several seeds. They have the bits that each has
/// alone. When all are over, the first error in the order of k is thrown.
template <class Exec, class Run>
void side_by_side(const Exec& exec, int count, const Run& run) {
  const int threads = std::min(workers(exec), count);
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(std::max(count, 0)));
  std::vector<Exec> alone;
  for (int t = 0; t < threads; ++t)
    alone.push_back(workers(exec) > 1 ? Kokkos::Experimental::partition_space(exec, 1, 1)[0] : exec);
  // Threads of their own and not a kernel's, in which Kokkos can neither allocate nor free memory.
  std::vector<std::jthread> pool;
  for (int t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      cpu_set_t everywhere;  // this thread may be bound to a processor, and they would inherit that
      std::memset(&everywhere, 0xff, sizeof everywhere);
      sched_setaffinity(0, sizeof everywhere, &everywhere);
      for (int k = t; k < count; k += threads) try {
          run(k, alone[static_cast<std::size_t>(t)]);
        } catch (...) {
          errors[static_cast<std::size_t>(k)] = std::current_exception();
        }
    });
  pool.clear();  // waits for all
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace fieldstep::train
