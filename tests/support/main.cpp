// The entry point of every unit test: Catch2, with Kokkos up for the whole run. Two threads unless the caller wants
// another number: enough to show a race, and no test depends on the machine's size.
#include <Kokkos_Core.hpp>
#include <catch2/catch_session.hpp>
#include <cstdlib>

int main(int argc, char* argv[]) {
  Catch::Session session;
  if (const int wrong = session.applyCommandLine(argc, argv)) return wrong;
  auto settings =
      Kokkos::InitializationSettings().set_disable_warnings(true);  // of OMP_PROC_BIND: binding is not wanted
  if (std::getenv("OMP_NUM_THREADS") == nullptr) settings.set_num_threads(2);
  const Kokkos::ScopeGuard kokkos(settings);
  return session.run();
}
