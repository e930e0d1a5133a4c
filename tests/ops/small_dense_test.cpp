#include <fieldstep/ops/small_dense.hpp>
#include <support/numbers.hpp>

#include <algorithm>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

/// body(length) for lengths below, at and between multiples of every vector's width, up to two blocks of accumulators
/// and a rest.
template <class Body>
void for_lengths(const Body& body) {
  [&]<int... N>(std::integer_sequence<int, N...>) { (body(std::integral_constant<int, N>()), ...); }
  (std::integer_sequence<int, 1, 2, 3, 7, 8, 13, 16, 29, 64, 93, 150>());
}

constexpr std::size_t guard = 16;  // numbers behind an operand: a register's and more
constexpr int guarded = 7;         // what they are behind a result

/// `count` positive numbers, so that no sum cancels. What is read behind them is NaN unless said otherwise.
template <class Real>
Arena<Real> operand(std::string_view name, std::size_t count, Real behind = std::numeric_limits<Real>::quiet_NaN()) {
  const auto numbers = constant<Real>(count + guard, behind);
  std::ranges::copy(synth(name, count, 1, .75), numbers.data());
  return numbers;
}
/// Where a result is added to.
template <class Real>
Arena<Real> sum_from(std::string_view name, std::size_t count) {
  return operand<Real>(name, count, guarded);
}
/// Where a result is written over NaN.
template <class Real>
Arena<Real> blank(std::size_t count) {
  const auto numbers = constant<Real>(count + guard);
  std::fill_n(numbers.data() + count, guard, Real(guarded));
  return numbers;
}

/// A result's numbers, once nothing is written behind them.
template <class Real>
Numbers result(const Arena<Real>& y) {
  const auto end = y.data() + y.size() - guard;
  CHECK(std::all_of(end, end + guard, [](Real v) { return v == guarded; }));
  return {y.data(), end};
}

}  // namespace

TEMPLATE_TEST_CASE("in_vectors: every number once and in order, the rest in narrower vectors", "[ops][small_dense]",
                   float, double) {
  for_lengths([](auto length) {
    constexpr int N = length;
    INFO(N << " numbers");
    int next = 0, widest = ops::detail::small_lanes<TestType>;
    ops::detail::in_vectors<TestType, N>([&](auto width, int i) {
      CHECK(i == next);
      CHECK(width <= widest);
      next = i + width, widest = width;
    });
    CHECK(next == N);
  });
}

TEMPLATE_TEST_CASE("dot, total: agree with a plain loop", "[ops][small_dense][property]", float, double) {
  for_lengths([](auto length) {
    constexpr int N = length;
    INFO(N << " numbers");
    const auto x = operand<TestType>("x", N), y = operand<TestType>("y", N);
    double product = 0, sum = 0;
    for (int i = 0; i < N; ++i) {
      product += static_cast<double>(x.data()[i]) * static_cast<double>(y.data()[i]);
      sum += static_cast<double>(x.data()[i]);
    }
    CHECK(std::abs(static_cast<double>(ops::dot<N>(x.data(), y.data())) / product - 1) < rounding<TestType>);
    CHECK(std::abs(static_cast<double>(ops::total<N>(x.data())) / sum - 1) < rounding<TestType>);
  });
}

TEMPLATE_TEST_CASE("axpy: adds a x", "[ops][small_dense][property]", float, double) {
  for_lengths([](auto length) {
    constexpr int N = length;
    INFO(N << " numbers");
    const auto x = operand<TestType>("x", N), y = sum_from<TestType>("y", N);
    Numbers expected = result(y);
    for (int i = 0; i < N; ++i) expected[static_cast<std::size_t>(i)] += 1.5 * static_cast<double>(x.data()[i]);
    ops::axpy<N>(TestType(1.5), x.data(), y.data());
    CHECK(relative_l2(result(y), expected) < rounding<TestType>);
  });
}

TEMPLATE_TEST_CASE("row_times_matrix: x W overwrites; from a start, which may be the result itself",
                   "[ops][small_dense][property]", float, double) {
  constexpr int In = 6;
  for_lengths([](auto length) {
    constexpr int Out = length;
    INFO(Out << " columns");
    const auto x = operand<TestType>("x", In), W = operand<TestType>("W", In * Out);
    const auto start = operand<TestType>("start", Out), y = sum_from<TestType>("start", Out);
    const auto expected = [&](double share) {
      Numbers sums(Out);
      for (int o = 0; o < Out; ++o) {
        double& sum = sums[static_cast<std::size_t>(o)];
        sum = share * static_cast<double>(start.data()[o]);
        for (int i = 0; i < In; ++i)
          sum += static_cast<double>(x.data()[i]) * static_cast<double>(W.data()[i * Out + o]);
      }
      return sums;
    };
    const auto from_zero = blank<TestType>(Out), from_start = blank<TestType>(Out);
    ops::row_times_matrix<In, Out>(x.data(), W.data(), static_cast<const TestType*>(nullptr), from_zero.data());
    ops::row_times_matrix<In, Out>(x.data(), W.data(), start.data(), from_start.data());
    ops::row_times_matrix<In, Out>(x.data(), W.data(), y.data(), y.data());
    CHECK(relative_l2(result(from_zero), expected(0)) < rounding<TestType>);
    CHECK(relative_l2(result(from_start), expected(1)) < rounding<TestType>);
    CHECK(relative_l2(result(y), expected(1)) < rounding<TestType>);
  });
}

TEMPLATE_TEST_CASE("matrix_times_column: W x overwrites, the adjoint of row_times_matrix",
                   "[ops][small_dense][property]", float, double) {
  constexpr int Rows = 5;
  for_lengths([](auto length) {
    constexpr int Columns = length;
    INFO(Columns << " columns");
    const auto W = operand<TestType>("W", Rows * Columns), x = operand<TestType>("x", Columns);
    const auto y = blank<TestType>(Rows);
    ops::matrix_times_column<Rows, Columns>(W.data(), x.data(), y.data());
    Numbers expected(Rows);
    for (int i = 0; i < Rows; ++i)
      for (int j = 0; j < Columns; ++j)
        expected[static_cast<std::size_t>(i)] +=
            static_cast<double>(W.data()[i * Columns + j]) * static_cast<double>(x.data()[j]);
    CHECK(relative_l2(result(y), expected) < rounding<TestType>);

    const auto u = operand<TestType>("u", Rows);
    const auto row = blank<TestType>(Columns);
    ops::row_times_matrix<Rows, Columns>(u.data(), W.data(), static_cast<const TestType*>(nullptr), row.data());
    const double through_row = static_cast<double>(ops::dot<Columns>(row.data(), x.data())),
                 through_column = static_cast<double>(ops::dot<Rows>(u.data(), y.data()));
    CHECK(std::abs(through_row / through_column - 1) < rounding<TestType>);
  });
}

TEMPLATE_TEST_CASE("add_outer: adds x y^T", "[ops][small_dense][property]", float, double) {
  constexpr int Rows = 5;
  for_lengths([](auto length) {
    constexpr int Columns = length;
    INFO(Columns << " columns");
    const auto x = operand<TestType>("x", Rows), y = operand<TestType>("y", Columns);
    const auto W = sum_from<TestType>("W", Rows * Columns);
    Numbers expected = result(W);
    for (int i = 0; i < Rows; ++i)
      for (int j = 0; j < Columns; ++j)
        expected[static_cast<std::size_t>(i * Columns + j)] +=
            static_cast<double>(x.data()[i]) * static_cast<double>(y.data()[j]);
    ops::add_outer<Rows, Columns>(x.data(), y.data(), W.data());
    CHECK(relative_l2(result(W), expected) < rounding<TestType>);
  });
}

TEMPLATE_TEST_CASE("elu: overwrites, whatever the length", "[ops][small_dense][property]", float, double) {
  for_lengths([](auto length) {
    constexpr int N = length;
    INFO(N << " numbers");
    const auto x = operand<TestType>("x", N), y = blank<TestType>(N);
    for (int i = 0; i < N; i += 2) x.data()[i] *= -1;
    ops::elu<N>(x.data(), y.data());
    Numbers expected;
    for (int i = 0; i < N; ++i) {
      const double v = static_cast<double>(x.data()[i]);
      expected.push_back(v > 0 ? v : std::expm1(v));
    }
    CHECK(relative_l2(result(y), expected) < rounding<TestType>);
  });
}

TEMPLATE_TEST_CASE("elu: keeps its relative accuracy near 0 and its limit far out", "[ops][small_dense][property]",
                   float, double) {
  constexpr int N = 8;
  TestType x[N], y[N];
  double largest = 0;
  const auto visit = [&](auto number) {
    for (TestType& v : x) v = static_cast<TestType>(number());
    ops::elu<N>(x, y);
    for (int i = 0; i < N; ++i)
      largest = std::max(largest, std::abs(static_cast<double>(y[i]) / std::expm1(static_cast<double>(x[i])) - 1));
  };
  double v = 0;
  for (int i = 0; i < 100'000; ++i) visit([&] { return v -= 2e-5; });  // to -16
  v = -1;
  for (int i = 0; i < 500; ++i) visit([&] { return v /= 1.02; });  // to -4e-35
  CHECK(largest < (std::is_same_v<TestType, float> ? 4e-7 : 1e-15));

  const TestType far = std::numeric_limits<TestType>::max();
  for (const TestType huge : {TestType(1e4), far, std::numeric_limits<TestType>::infinity()}) {
    std::fill_n(x, N, huge), x[1] = -huge, x[2] = 0;
    ops::elu<N>(x, y);
    CHECK((y[0] == huge && y[1] == -1 && y[2] == 0));
  }
}

TEMPLATE_TEST_CASE("standardise_row: mean 0 and biased variance 1, returns the factor", "[ops][small_dense][property]",
                   float, double) {
  for_lengths([](auto length) {
    constexpr int N = length;
    INFO(N << " numbers");
    constexpr double eps = .03125;
    const auto x = operand<TestType>("x", N), xhat = blank<TestType>(N);
    const TestType factor = ops::standardise_row<N>(x.data(), TestType(eps), xhat.data());
    double mean = 0, variance = 0;
    for (int i = 0; i < N; ++i) mean += static_cast<double>(x.data()[i]) / N;
    for (int i = 0; i < N; ++i) variance += std::pow(static_cast<double>(x.data()[i]) - mean, 2) / N;
    const double rstd = 1 / std::sqrt(variance + eps);
    Numbers expected;
    for (int i = 0; i < N; ++i) expected.push_back((static_cast<double>(x.data()[i]) - mean) * rstd);
    CHECK(std::abs(static_cast<double>(factor) / rstd - 1) < rounding<TestType>);
    CHECK(relative_l2(result(xhat), expected) < rounding<TestType>);
  });
}

TEST_CASE("standardise_row: a constant row becomes zeros", "[ops][small_dense]") {
  const auto x = constant<float>(13, 3.25f), xhat = constant<float>(13);
  CHECK(ops::standardise_row<13>(x.data(), .0625f, xhat.data()) == 4);
  CHECK(std::all_of(xhat.data(), xhat.data() + 13, [](float v) { return v == 0; }));
}
