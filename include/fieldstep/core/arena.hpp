#pragma once
#include <Kokkos_Core.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace fieldstep {

/// One flat allocation for one purpose (weights, workspace, a gradient), aligned to 64 bytes, not initialised. Large
/// ones on the host start at a huge page and ask for huge pages: touching 29 MB for the first time costs 20 ms in small
/// ones.
template <class T, class MemorySpace = Kokkos::HostSpace>
class Arena {
 public:
  Arena() = default;
  explicit Arena(std::size_t count) : count_(count) {
    const bool large = std::is_same_v<MemorySpace, Kokkos::HostSpace> && count * sizeof(T) >= 2 * huge_page;
    const std::size_t alignment = large ? huge_page : 64;
    // Vector loads may read, never use, up to a register beyond the last number.
    memory_ = decltype(memory_)(Kokkos::view_alloc(Kokkos::WithoutInitializing, "arena"),
                                count + (alignment + 64) / sizeof(T));
    const auto address = reinterpret_cast<std::size_t>(memory_.data());
    data_ = memory_.data() + (alignment - address % alignment) % alignment / sizeof(T);
#if defined(__linux__)
    if (large) madvise(data_, count * sizeof(T) / huge_page * huge_page, MADV_HUGEPAGE);
#endif
  }

  T* data() const { return data_; }
  std::size_t size() const { return count_; }

 private:
  static constexpr std::size_t huge_page = std::size_t{2} << 20;
  Kokkos::View<T*, MemorySpace> memory_;
  T* data_ = nullptr;
  std::size_t count_ = 0;
};

/// A region of a workspace: `count` numbers needed from stage `first` to stage `last` of a computation.
struct Region {
  std::string_view name;
  std::size_t count;
  int first, last;
};

/// Regions with their places: those whose lifetimes do not overlap share memory.
template <std::size_t N>
struct WorkspacePlan {
  std::array<Region, N> regions{};
  std::array<std::size_t, N> offset{};
  std::size_t count = 0;  ///< numbers of the whole workspace
};

/// Places every region, large ones first, at the lowest offset where no region alive at the same time lies. Offsets are
/// multiples of 16 numbers.
template <std::size_t N>
constexpr WorkspacePlan<N> plan_workspace(const std::array<Region, N>& regions) {
  WorkspacePlan<N> plan{.regions = regions};
  std::array<std::size_t, N> order{};
  for (std::size_t i = 0; i < N; ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return regions[a].count != regions[b].count ? regions[a].count > regions[b].count : a < b;
  });
  for (std::size_t i = 0; i < N; ++i) {
    const Region& region = regions[order[i]];
    std::size_t offset = 0;
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t j = 0; j < i; ++j) {
        const Region& other = regions[order[j]];
        const std::size_t begin = plan.offset[order[j]], end = begin + other.count;
        const bool together = region.first <= other.last && other.first <= region.last;
        if (together && offset < end && begin < offset + region.count) {
          offset = (end + 15) / 16 * 16;
          moved = true;
        }
      }
    }
    plan.offset[order[i]] = offset;
    plan.count = std::max(plan.count, offset + region.count);
  }
  return plan;
}

}  // namespace fieldstep
