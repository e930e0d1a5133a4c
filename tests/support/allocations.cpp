#include <support/allocations.hpp>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

// Replaced operators have no object to count in.
std::atomic<bool> counting = false;
std::atomic<std::int64_t> allocated = 0, freed = 0;

void count(std::atomic<std::int64_t>& events) {
  if (counting.load(std::memory_order_relaxed)) events.fetch_add(1, std::memory_order_relaxed);
}

void* allocate(std::size_t size, std::size_t alignment) {
  count(allocated);
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  void* const memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void release(void* memory) {
  if (memory != nullptr) count(freed);
  std::free(memory);
}

}  // namespace

// The array forms of the standard library call these. So does its nothrow form, which std::stable_sort uses, but that
// of a sanitizer does not.
void* operator new(std::size_t size) { return allocate(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept try {
  return operator new(size);
} catch (const std::bad_alloc&) {
  return nullptr;
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }

namespace fieldstep::support {

AllocationCounter::AllocationCounter() {
  allocated = freed = 0;
  counting = true;
}

AllocationCounter::~AllocationCounter() { counting = false; }

std::int64_t AllocationCounter::allocations() const { return allocated; }
std::int64_t AllocationCounter::deallocations() const { return freed; }

}  // namespace fieldstep::support
