#pragma once
#include <cstdint>

namespace fieldstep::support {

/// Counts what is allocated and freed while it lives: every operator new and delete of the program and every allocation
/// of Kokkos. Link allocations.cpp, which replaces the operators.
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
