#pragma once
#include <cstddef>

namespace fieldstep::train::detail {

/// body(u, offset) for every row of `points` numbers in `rows` of them; neighbours wrap around: left(i), right(i).
struct PeriodicRows {
  int points;

  int left(int i) const { return i == 0 ? points - 1 : i - 1; }
  int right(int i) const { return i == points - 1 ? 0 : i + 1; }
  void for_each(int rows, const auto& body) const {
    for (int r = 0; r < rows; ++r) body(static_cast<std::ptrdiff_t>(r) * points);
  }
};

}  // namespace fieldstep::train::detail
