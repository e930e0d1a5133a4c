#include <fieldstep/ops/partial_sums.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

TEMPLATE_TEST_CASE_SIG("add_rows: adds every column's sum, times its factor; equal bits for any threads",
                       "[ops][partial_sums][property]", ((int Count), Count), 1, 12, 50, 64) {
  constexpr int rows = 5, stride = Count + 3;
  const auto x = drawn<float>("x", rows * stride), factor = drawn<float>("factor", Count);
  for (const float* f : {static_cast<const float*>(nullptr), static_cast<const float*>(factor.data())}) {
    const auto sum = constant<float>(Count, .5f), alone = constant<float>(Count, .5f),
               naive = constant<float>(Count, .5f);
    Numbers exact(Count, .5);
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < Count; ++c)
        exact[static_cast<std::size_t>(c)] += double(x.data()[r * stride + c]) * (f ? double(f[c]) : 1.);
    ops::add_rows<Count>(Exec(), rows, static_cast<const float*>(x.data()), stride, f, sum.data());
    ops::add_rows<Count>(one_thread(), rows, static_cast<const float*>(x.data()), stride, f, alone.data());
    ops::add_rows_naive(Exec(), rows, Count, static_cast<const float*>(x.data()), stride, f, naive.data());
    CHECK(relative_l2(in_double(sum), exact) < rounding<float>);
    CHECK(relative_l2(in_double(naive), exact) < rounding<float>);
    CHECK(same_bits(sum, alone));
  }
}
