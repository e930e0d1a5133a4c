#pragma once
#include <Kokkos_Core.hpp>

namespace fieldstep::support {

/// Where the tests compute: as many threads as the program has, two unless the caller of the tests says otherwise.
using Exec = Kokkos::DefaultHostExecutionSpace;

/// An instance of Exec that runs on one thread.
inline Exec one_thread() {
  const Exec all;
  return all.concurrency() > 1 ? Kokkos::Experimental::partition_space(all, 1, 1)[0] : all;
}

}  // namespace fieldstep::support
