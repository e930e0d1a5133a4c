// The entry point of every unit test: Catch2, with Kokkos up for the whole run.
#include <Kokkos_Core.hpp>
#include <catch2/catch_session.hpp>

int main(int argc, char* argv[]) {
  Catch::Session session;
  if (const int wrong = session.applyCommandLine(argc, argv)) return wrong;
  const Kokkos::ScopeGuard kokkos;
  return session.run();
}
