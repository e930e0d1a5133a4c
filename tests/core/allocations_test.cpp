#include <Kokkos_Core.hpp>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <support/allocations.hpp>
#include <vector>

TEST_CASE("AllocationCounter: sees operator new and Kokkos, and nothing where nothing is", "[core][allocations]") {
  const fieldstep::support::AllocationCounter counter;
  const std::int64_t none = counter.allocations();
  std::vector<int> numbers(10);
  const auto aligned = std::make_unique<std::array<double, 64>>();
  const std::int64_t two = counter.allocations();
  const Kokkos::View<float*> view("view", 10);
  const std::int64_t more = counter.allocations();
  numbers = {};
  CHECK(none == 0);
  CHECK(two == 2);
  CHECK(more > two);
}
