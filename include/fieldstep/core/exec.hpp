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

/// Cuts [0, items) into one contiguous range a thread and calls body(begin, end) for each that is not empty. The cut
/// depends on the number of threads, so a body must give every item the same bits whatever range it is in.
template <class Exec, class Body>
void for_ranges(const Exec& exec, int items, const Body& body) {
  const int parts = std::min(workers(exec), items);
  if (parts <= 1) {
    if (items > 0) body(0, items);
    return;
  }
  Kokkos::parallel_for(Kokkos::RangePolicy<Exec, Kokkos::Schedule<Kokkos::Static>>(exec, 0, parts), [=](int part) {
    const auto cut = [=](int p) { return static_cast<int>(static_cast<long>(items) * p / parts); };
    body(cut(part), cut(part + 1));
  });
}

}  // namespace fieldstep
