#pragma once
#include <Kokkos_Core.hpp>
#include <algorithm>

namespace fieldstep {

/// True where a kernel may run hand-vectorised host code; elsewhere the naive version of an operation runs.
template <class Exec>
inline constexpr bool on_host = Kokkos::SpaceAccessibility<Exec, Kokkos::HostSpace>::accessible;

/// Threads that an execution space instance runs at once.
template <class Exec>
int workers(const Exec& exec) {
  return std::max(1, static_cast<int>(exec.concurrency()));
}

namespace detail {

/// Not inlined: the compiler contracts multiply-adds as it likes in every copy of a body, and one thread and many must
/// run the same copy to give the same bits.
template <class Body>
[[gnu::noinline]] void run_range(const Body& body, int begin, int end) {
  body(begin, end);
}

}  // namespace detail

/// Cuts [0, items) into one contiguous range a thread and calls body(begin, end) for each that is not empty. The cut
/// depends on the number of threads, so a body must give every item the same bits whatever range it is in.
///   least: items below which a thread of their own does not pay
template <class Exec, class Body>
void for_ranges(const Exec& exec, int items, const Body& body, int least = 1) {
  const int parts = items < 2 * least ? 1 : std::min(workers(exec), items / least);
  if (parts <= 1) {
    if (items > 0) detail::run_range(body, 0, items);
    return;
  }
  Kokkos::parallel_for(Kokkos::RangePolicy<Exec, Kokkos::Schedule<Kokkos::Static>>(exec, 0, parts), [=](int part) {
    const auto cut = [=](int p) { return static_cast<int>(static_cast<long>(items) * p / parts); };
    detail::run_range(body, cut(part), cut(part + 1));
  });
}

}  // namespace fieldstep
