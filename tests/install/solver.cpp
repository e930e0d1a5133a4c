// The smallest solver: what a project that only links fieldstep can rely on.
#include <Kokkos_Core.hpp>
#include <fieldstep/fieldstep.hpp>
#include <vector>

int main(int argc, char* argv[]) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  std::vector<float> values(2 * 3 * 4, 1.0f);
  const fieldstep::Batched<float, 3, 4> field(values.data(), 2);
  Kokkos::parallel_for(
      field.extent(0), KOKKOS_LAMBDA(const int sample) { field(sample, 2, 3) = 5.0f; });
  Kokkos::fence();
  return values.back() == 5.0f ? 0 : 1;
}
