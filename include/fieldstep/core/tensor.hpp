#pragma once
#include <Kokkos_Core.hpp>
#include <cstddef>

namespace fieldstep {

/// A tensor whose every extent is part of its type: one pointer wide, row-major, does not own its memory.
/// Index it with the call operator, x(i, j, k), on the host and in kernels.
template <class T, std::size_t... N>
using Tensor = Kokkos::mdspan<T, Kokkos::extents<int, N...>>;

/// The same with a leading run-time extent (batch, rows or samples): (batch, N...). It enters no stride.
template <class T, std::size_t... N>
using Batched = Kokkos::mdspan<T, Kokkos::extents<int, Kokkos::dynamic_extent, N...>>;

/// Number of entries of one sample: the product of the static extents.
template <class Mdspan>
constexpr std::size_t static_size() {
  std::size_t size = 1;
  for (std::size_t r = 0; r < Mdspan::rank(); ++r)
    if (Mdspan::static_extent(r) != Kokkos::dynamic_extent) size *= Mdspan::static_extent(r);
  return size;
}

}  // namespace fieldstep
