#pragma once
#include <fieldstep/core/arena.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

namespace fieldstep::support {

/// Checks that regions needed at the same time lie apart, and that hardly a gap is left between them.
template <std::size_t N>
void check_plan(const WorkspacePlan<N>& plan) {
  std::size_t end = 0, most_alive = 0;
  int last_stage = 0;
  for (std::size_t i = 0; i < N; ++i) {
    const Region& a = plan.regions[i];
    CHECK(plan.offset[i] % 16 == 0);
    end = std::max(end, plan.offset[i] + a.count);
    last_stage = std::max(last_stage, a.last);
    for (std::size_t j = 0; j < i; ++j) {
      const Region& b = plan.regions[j];
      INFO(a.name << " and " << b.name);
      const bool together = a.first <= b.last && b.first <= a.last;
      const bool apart = plan.offset[i] + a.count <= plan.offset[j] || plan.offset[j] + b.count <= plan.offset[i];
      CHECK((!together || apart || a.count == 0 || b.count == 0));
    }
  }
  for (int stage = 0; stage <= last_stage; ++stage) {
    std::size_t alive = 0;
    for (const Region& region : plan.regions)
      if (region.first <= stage && stage <= region.last) alive += region.count;
    most_alive = std::max(most_alive, alive);
  }
  CHECK(plan.count == end);
  CHECK(plan.count >= most_alive);
  CHECK(static_cast<double>(plan.count) < 1.1 * static_cast<double>(most_alive));
}

}  // namespace fieldstep::support
