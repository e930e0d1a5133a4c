#include <fieldstep/ops/vec.hpp>

#include <algorithm>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

using namespace fieldstep;

namespace {

constexpr int L = ops::lanes<float>;
using Vec = ops::vec<float, L>;

/// Calls check(x, f(x)) for `count` numbers spread evenly over [first, last].
template <class F, class Check>
void for_all(double first, double last, int count, const F& f, const Check& check) {
  for (int i = 0; i < count; i += L) {
    Vec x;
    for (int l = 0; l < L; ++l)
      x[l] = static_cast<float>(first + (last - first) * std::min(i + l, count - 1) / (count - 1));
    const Vec y = f(x);
    for (int l = 0; l < L; ++l) check(static_cast<double>(x[l]), static_cast<double>(y[l]));
  }
}

Vec float_exp(Vec x) { return ops::exp<float, L>(x); }
Vec float_gelu(Vec x) { return ops::gelu<float, L>(x); }

double exact_gelu(double x) { return x * .5 * std::erfc(-x * std::sqrt(.5)); }

constexpr int many = 4'000'000;

}  // namespace

TEST_CASE("exp: relative error below 1.1e-7 from -87 to 88", "[ops][vec][property]") {
  double largest = 0;
  for_all(-87, 88, many, float_exp,
          [&](double x, double y) { largest = std::max(largest, std::abs(y / std::exp(x) - 1)); });
  CHECK(largest < 1.1e-7);
}

TEST_CASE("exp2_negative: relative error below 8e-8, or 1.1e-7 without fused multiply-adds, and no smaller than 2^-126",
          "[ops][vec][property]") {
  const auto power = [](Vec x) { return ops::exp2_negative<float, L>(x); };
  double largest = 0;
  for_all(-126, 0, many, power,
          [&](double x, double y) { largest = std::max(largest, std::abs(y / std::exp2(x) - 1)); });
#if defined(__FMA__)
  CHECK(largest < 8e-8);
#else
  CHECK(largest < 1.1e-7);
#endif
  CHECK(power(ops::broadcast<L>(-1e30f))[0] == std::exp2(-126.f));
  CHECK(power(Vec{})[0] == 1.f);
}

TEST_CASE("gelu with its slope: within 3e-7 and 4e-7 of both from -9 to 9", "[ops][vec][property]") {
  const auto exact_slope = [](double x) {
    return .5 * std::erfc(-x * std::sqrt(.5)) + x * std::exp(-x * x / 2) / std::sqrt(2 * 3.14159265358979324);
  };
  Vec slope;
  double largest = 0, largest_slope = 0;
  const auto value = [&](Vec x) { return ops::gelu<float, L>(x, slope); };
  const auto derivative = [&](Vec x) {
    value(x);
    return slope;
  };
  for_all(-9, 9, many, value, [&](double x, double y) { largest = std::max(largest, std::abs(y - exact_gelu(x))); });
  for_all(-9, 9, many, derivative,
          [&](double x, double y) { largest_slope = std::max(largest_slope, std::abs(y - exact_slope(x))); });
  CHECK(largest < 3e-7);
  CHECK(largest_slope < 4e-7);

  constexpr int D = ops::lanes<double>;
  ops::vec<double, D> exact_double;
  const auto in_double = ops::gelu<double, D>(ops::broadcast<D>(-1.25), exact_double);
  CHECK(std::abs(in_double[0] - exact_gelu(-1.25)) < 1e-15);
  CHECK(std::abs(exact_double[0] - exact_slope(-1.25)) < 1e-15);
}

TEMPLATE_TEST_CASE_SIG("transpose: rows become columns", "[ops][vec]", ((class T, int N), T, N), (float, 1), (float, 4),
                       (float, 8), (float, 16), (double, 2), (double, 8)) {
  ops::vec<T, N> rows[N];
  for (int i = 0; i < N; ++i)
    for (int j = 0; j < N; ++j) rows[i][j] = static_cast<T>(i * N + j);
  ops::transpose<T, N>(rows);
  bool turned = true;
  for (int i = 0; i < N; ++i)
    for (int j = 0; j < N; ++j) turned = turned && rows[i][j] == static_cast<T>(j * N + i);
  CHECK(turned);
}

TEST_CASE("exp: beyond its range it stays where it ends", "[ops][vec]") {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(float_exp(ops::broadcast<L>(-1000.f))[0] == float_exp(ops::broadcast<L>(-87.f))[0]);
  CHECK(float_exp(ops::broadcast<L>(-infinity))[0] == float_exp(ops::broadcast<L>(-87.f))[0]);
  CHECK(float_exp(ops::broadcast<L>(1000.f))[0] == float_exp(ops::broadcast<L>(88.f))[0]);
  CHECK(float_exp(Vec{})[0] == 1.f);
}

TEST_CASE("gelu: largest error 2.4e-7 from -9 to 9", "[ops][vec][property]") {
  double largest = 0;
  for_all(-9, 9, many, float_gelu,
          [&](double x, double y) { largest = std::max(largest, std::abs(y - exact_gelu(x))); });
  CHECK(largest <= 2.4e-7);
}

TEST_CASE("gelu: keeps its relative accuracy for large negative numbers", "[ops][vec][property]") {
  // x Phi(x) is -1e-18 at -9; 1 + erf(x / sqrt(2)) would be zero from -6 on.
  double largest = 0;
  for_all(-9, -2, many, float_gelu,
          [&](double x, double y) { largest = std::max(largest, std::abs(y / exact_gelu(x) - 1)); });
  CHECK(largest < 4e-6);
}

TEST_CASE("gelu: far out it is the identity or zero", "[ops][vec]") {
  CHECK(float_gelu(Vec{})[0] == 0.f);
  CHECK(float_gelu(ops::broadcast<L>(50.f))[0] == 50.f);
  CHECK(std::abs(float_gelu(ops::broadcast<L>(-50.f))[0]) < 1e-30f);
}

TEST_CASE("gelu: in double as exact as the C library", "[ops][vec][property]") {
  for (double x = -12; x < 12; x += 1. / 1024) {
    const double y = ops::gelu<double, 2>(ops::vec<double, 2>{x, 0})[0];
    CHECK(std::abs(y - exact_gelu(x)) <= 4e-16 * std::abs(exact_gelu(x)) + 1e-16 * std::abs(x));
  }
}

TEST_CASE("gelu_naive: agrees with gelu", "[ops][vec][property]") {
  for_all(-9, 9, 10'000, float_gelu, [](double x, double y) {
    CHECK(std::abs(static_cast<double>(ops::gelu_naive(static_cast<float>(x))) - y) < 8e-7);
    CHECK(std::abs(ops::gelu_naive(x) - exact_gelu(x)) < 1e-15);
  });
}

TEMPLATE_TEST_CASE_SIG("sum: adds every lane once, by the same tree whatever the target", "[ops][vec]", ((int N), N), 1,
                       2, 4, 8) {
  ops::vec<float, N> powers;
  for (int l = 0; l < N; ++l) powers[l] = static_cast<float>(1 << l);
  CHECK(ops::sum<float, N>(powers) == static_cast<float>((1 << N) - 1));
  if constexpr (N == 8) {
    const ops::vec<float, 8> v{1e8f, 1, 2, 3, -1e8f, 4, 5, 6};
    CHECK(ops::sum<float, 8>(v) == ((1e8f + -1e8f) + (2.f + 5.f)) + ((1.f + 4.f) + (3.f + 6.f)));
  }
}

TEST_CASE("lanes_for: the widest vector that divides a count", "[ops][vec]") {
  static_assert(ops::lanes_for<float>(12) == 4);
  static_assert(ops::lanes_for<float>(7) == 1);
  static_assert(ops::lanes_for<float>(64) == ops::lanes<float>);
  static_assert(ops::lanes_for<double>(6) == 2);
  SUCCEED();
}
