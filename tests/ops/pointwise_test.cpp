#include <fieldstep/ops/pointwise.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

struct Piece {
  std::size_t begin;
  int size;
  double slope;
};

/// Runs of all lengths around a vector's, one apart.
constexpr std::size_t count = 40 * 64;
std::vector<Piece> pieces() {
  std::vector<Piece> all;
  for (int i = 0; i < 40; ++i) all.push_back({static_cast<std::size_t>(64 * i), i, 1 + .25 * i});
  return all;
}

template <class Real>
struct Line {
  template <class V>
  KOKKOS_FORCEINLINE_FUNCTION void operator()(const Piece& piece, V& y, V& x, V& steps) const {
    y += static_cast<Real>(piece.slope) * x;
    steps += 1;
    x = y;  // its array is of const: nobody sees this
  }
};

struct Moments {
  template <class Sum, class V>
  KOKKOS_FORCEINLINE_FUNCTION void operator()(const Piece&, Sum (&sums)[2], V x, V& twice) const {
    twice = 2 * x;
    sums[0] += ops::in_double(x);
    sums[1] += ops::in_double(x) * ops::in_double(x);
  }
};

}  // namespace

TEMPLATE_TEST_CASE("pointwise: agrees with its naive version and touches nothing else", "[ops][pointwise]", float,
                   double) {
  const std::vector<Piece> runs = pieces();
  const std::span<const Piece> all(runs);
  const auto x = drawn<TestType>("x", count);
  const auto y = drawn<TestType>("y", count), y_naive = drawn<TestType>("y", count);
  const auto steps = constant<TestType>(count, 0), steps_naive = constant<TestType>(count, 0);
  const TestType* from = x.data();
  ops::pointwise(Exec(), all, Line<TestType>{}, y.data(), from, steps.data());
  ops::pointwise_naive(Exec(), all, Line<TestType>{}, y_naive.data(), from, steps_naive.data());
  CHECK(same_bits(steps, steps_naive));
  CHECK(relative_l2(in_double(y), in_double(y_naive)) < rounding<TestType>);
  const auto before = drawn<TestType>("y", count);
  for (const Piece& run : runs)
    for (std::size_t i = 0; i < 64; ++i) {
      const bool inside = i < static_cast<std::size_t>(run.size);
      CHECK(steps.data()[run.begin + i] == (inside ? 1 : 0));
      if (!inside) CHECK(y.data()[run.begin + i] == before.data()[run.begin + i]);
    }
  CHECK(same_bits(x, drawn<TestType>("x", count)));
}

TEMPLATE_TEST_CASE("pointwise_sums: the sums of all runs, equal bits for one thread and two", "[ops][pointwise]", float,
                   double) {
  const std::vector<Piece> runs = pieces();
  const std::span<const Piece> all(runs);
  const auto x = drawn<TestType>("x", count), twice = constant<TestType>(count);
  const Arena<double> partial(2 * runs.size());
  const TestType* from = x.data();
  const auto sums = ops::pointwise_sums<2>(Exec(), all, partial.data(), Moments{}, from, twice.data());
  double first = 0, second = 0;
  for (const Piece& run : runs)
    for (std::size_t i = run.begin; i < run.begin + static_cast<std::size_t>(run.size); ++i) {
      const double value = from[i];
      first += value, second += value * value;
      CHECK(twice.data()[i] == 2 * from[i]);
    }
  CHECK(std::abs(sums[0] - first) < 1e-12 * second);
  CHECK(std::abs(sums[1] - second) < 1e-12 * second);
  CHECK(sums == ops::pointwise_sums<2>(one_thread(), all, partial.data(), Moments{}, from, twice.data()));

  const auto twice_naive = constant<TestType>(count);
  const auto naive = ops::pointwise_sums_naive<2>(Exec(), all, partial.data(), Moments{}, from, twice_naive.data());
  CHECK(std::abs(naive[0] - first) < 1e-12 * second);
  CHECK(std::abs(naive[1] - second) < 1e-12 * second);
  CHECK(same_bits(twice, twice_naive));
}

TEST_CASE("root, ratio, magnitude: the same for a number and for a vector", "[ops][pointwise]") {
  constexpr int L = ops::lanes<float>;
  const float numbers[] = {4, 0, -9, 2.5f};
  for (const float x : numbers) {
    CHECK(ops::magnitude(ops::broadcast<L>(x))[0] == std::abs(x));
    CHECK(ops::magnitude(x) == std::abs(x));
    CHECK(ops::root(ops::broadcast<L>(std::abs(x)))[L - 1] == std::sqrt(std::abs(x)));
    CHECK(ops::root(std::abs(x)) == std::sqrt(std::abs(x)));
    CHECK(ops::ratio(ops::broadcast<L>(x), ops::broadcast<L>(3.f))[0] == x / 3);
    CHECK(ops::ratio(x, 3.f) == x / 3);
  }
  CHECK(ops::ratio(0.f, 0.f) == 0);
  CHECK(ops::ratio(ops::broadcast<L>(0.f), ops::broadcast<L>(0.f))[1] == 0);
}
