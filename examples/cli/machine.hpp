#pragma once
#include <Kokkos_Core.hpp>
#include <optional>

/// What the program asks of the machine it runs on.
namespace fieldstep::cli {

/// Kokkos while this lives: with exactly this number of threads, or with its own default for 0. Within the life of
/// another one it only checks the number.
class KokkosThreads {
 public:
  explicit KokkosThreads(int threads);

 private:
  std::optional<Kokkos::ScopeGuard> guard_;
};

/// Largest resident memory of this process so far; 0 where the system does not tell.
double peak_rss_mib();

/// Seconds since this process was started, in steps of the system's clock tick (10 ms); negative where it does not
/// tell.
double seconds_since_start();

constexpr double to_mib(std::size_t bytes) { return static_cast<double>(bytes) / (1024 * 1024); }

}  // namespace fieldstep::cli
