#include <fieldstep/core/exec.hpp>
#include <support/threads.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <vector>

using namespace fieldstep;
using support::Exec;

TEST_CASE("for_ranges: every item once, no range shorter than what pays a thread", "[core][exec]") {
  for (const int items : {0, 1, 2, 7, 100})
    for (const int least : {1, 2, 7, 50, 51, 1000}) {
      std::vector<int> visits(static_cast<std::size_t>(items)), shortest(visits.size(), items);
      int *visit = visits.data(), *length = shortest.data();
      for_ranges(
          Exec(), items,
          [=](int begin, int end) {
            for (int i = begin; i < end; ++i) ++visit[i], length[i] = end - begin;
          },
          least);
      CHECK(std::ranges::count(visits, 1) == items);
      CHECK(std::ranges::all_of(shortest, [&](int n) { return n >= std::min(least, items); }));
    }
}
