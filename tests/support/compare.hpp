#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <span>
#include <string>
#include <type_traits>

namespace fieldstep::support {

/// || computed - expected || / || expected ||, absolute where the expected tensor is zero; infinite where sizes differ.
inline double relative_l2(std::span<const double> computed, std::span<const double> expected) {
  if (computed.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += (computed[i] - expected[i]) * (computed[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(norm > 0 ? difference / norm : difference);
}

/// How far from the original a result may be. Float: a few times the original's own float32 error, which no tensor is
/// credited with less of than 2e-7. Double: rounding, or that of the stored value.
template <class Real>
constexpr double golden_bound(double ref_err, bool stored_in_double) {
  if constexpr (std::is_same_v<Real, float>) return 8 * std::max(ref_err, 2e-7);
  return stored_in_double ? 1e-9 : 6e-8;
}

/// One line per tensor on stdout, and the count of those out of bounds.
class Report {
 public:
  explicit Report(std::string precision) : precision_(std::move(precision)) {}

  void compare(const std::string& name, double error, double bound) {
    const bool holds = error <= bound;  // false for NaN
    std::printf("%-6s  %-56s  error %9.2e  bound %9.2e  %s\n", precision_.c_str(), name.c_str(), error, bound,
                holds ? "ok" : "FAIL");
    ++(holds ? passed_ : failed_);
  }
  void missing(const std::string& name) {
    std::printf("%-6s  %-56s  not computed  FAIL\n", precision_.c_str(), name.c_str());
    ++failed_;
  }
  void not_compared(const std::string& name) {
    std::printf("%-6s  %-56s  not compared\n", precision_.c_str(), name.c_str());
    ++not_compared_;
  }

  /// Prints the counts; true if nothing is out of bounds and anything was compared at all.
  bool passed() const {
    std::printf("%-6s  %d within bounds, %d out of bounds, %d not compared\n", precision_.c_str(), passed_, failed_,
                not_compared_);
    return failed_ == 0 && passed_ > 0;
  }

 private:
  std::string precision_;
  int passed_ = 0, failed_ = 0, not_compared_ = 0;
};

}  // namespace fieldstep::support
