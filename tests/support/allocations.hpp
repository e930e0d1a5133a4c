#pragma once
#include <cstdint>

namespace fieldstep::support {

/// Counts what is allocated and freed while it lives, by every operator new and delete of the program. Kokkos' memory
/// is among it: each allocation makes its record with new. (Its allocation callbacks are no use here: while one is set,
/// every kernel launch allocates its name.) Link allocations.cpp, which replaces the operators.
///   const AllocationCounter counter;
///   model.forward(...);
///   CHECK(counter.allocations() == 0);
class AllocationCounter {
 public:
  AllocationCounter();
  ~AllocationCounter();
  AllocationCounter(const AllocationCounter&) = delete;
  AllocationCounter& operator=(const AllocationCounter&) = delete;

  std::int64_t allocations() const;
  std::int64_t deallocations() const;
};

}  // namespace fieldstep::support
