#include <fieldstep/ops/small_svd.hpp>
#include <support/gradient.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

std::size_t at(int n, int i, int j) { return static_cast<std::size_t>(i * n + j); }

Numbers drawn_matrix(const std::string& name, int n) { return in_double(drawn<double>(name, at(n, n, 0))); }

/// An orthogonal matrix: the product of reflections about drawn vectors.
Numbers orthogonal(const std::string& name, int n) {
  Numbers Q(at(n, n, 0));
  for (int i = 0; i < n; ++i) Q[at(n, i, i)] = 1;
  const Numbers vectors = drawn_matrix(name, n);
  for (int k = 0; k < n; ++k) {
    const std::span v(vectors.data() + at(n, k, 0), static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) {
      const std::span row(Q.data() + at(n, i, 0), v.size());
      const double along = 2 * dot(row, v) / dot(v, v);
      for (std::size_t j = 0; j < v.size(); ++j) row[j] -= along * v[j];
    }
  }
  return Q;
}

/// U S V^T
Numbers composed(int n, const Numbers& U, const Numbers& S, const Numbers& V) {
  Numbers A(at(n, n, 0));
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j)
      for (int k = 0; k < n; ++k) A[at(n, i, j)] += U[at(n, i, k)] * S[static_cast<std::size_t>(k)] * V[at(n, j, k)];
  return A;
}

double norm(int n, const Numbers& A) { return ops::nuclear_norm(n, A.data(), static_cast<double*>(nullptr)); }

struct Found {
  double norm;
  Numbers slope;
};
Found found(int n, const Numbers& A) {
  Found of{0, Numbers(A.size() + 1, 7)};
  of.norm = ops::nuclear_norm(n, A.data(), of.slope.data());
  CHECK(of.slope.back() == 7);
  of.slope.pop_back();
  return of;
}

/// A subgradient is what has a largest singular value of at most 1 and gives the norm as its product with A; the one of
/// a complete U and V is orthogonal. What it promises: no B has a norm below the plane through A.
void check_subgradient(int n, const Numbers& A) {
  const auto [value, slope] = found(n, A);
  const double largest = std::max(1., value);
  CHECK(value >= 0);
  CHECK(std::abs(dot(slope, A) - value) < 1e-12 * largest);
  const Numbers ones(static_cast<std::size_t>(n), 1);
  Numbers identity(A.size());
  for (int i = 0; i < n; ++i) identity[at(n, i, i)] = 1;
  CHECK(relative_l2(composed(n, slope, ones, slope), identity) < 1e-12);
  for (const char* other : {"B", "C", "D"}) {
    const Numbers B = drawn_matrix(other, n);
    CHECK(norm(n, B) >= value + dot(slope, B) - dot(slope, A) - 1e-12 * largest);
  }
}

}  // namespace

TEST_CASE("nuclear_norm: the sum of the singular values A was made with, its slope U V^T", "[ops][small_svd]") {
  for (const int n : {1, 2, 5, 8, 13}) {
    INFO(n << " rows");
    const Numbers U = orthogonal("U", n), V = orthogonal("V", n), ones(static_cast<std::size_t>(n), 1);
    Numbers S = ones;
    for (int k = 0; k < n; ++k) S[static_cast<std::size_t>((3 * k + 1) % n)] = .5 + k;  // in no order
    const auto [value, slope] = found(n, composed(n, U, S, V));
    const double sum = std::accumulate(S.begin(), S.end(), 0.);
    CHECK(std::abs(value / sum - 1) < 1e-12);
    CHECK(relative_l2(slope, composed(n, U, ones, V)) < 1e-12);
  }
}

TEST_CASE("nuclear_norm: its slope agrees with central differences", "[ops][small_svd][gradient]") {
  for (const int n : {1, 2, 3, 6}) {
    INFO(n << " rows");
    Numbers A = drawn_matrix("A", n);
    for (int i = 0; i < n; ++i) A[at(n, i, i)] += i % 2 ? -2 : 2;  // far from where it has no derivative
    const Numbers expected = central_differences([n](const Numbers& x) { return Numbers{norm(n, x)}; }, A, Numbers{1});
    CHECK(relative_l2(found(n, A).slope, expected) < 1e-9);
  }
}

TEST_CASE("nuclear_norm: its slope is a subgradient of every matrix", "[ops][small_svd][property]") {
  for (const int n : {1, 2, 5, 8}) {
    INFO(n << " rows");
    const auto size = static_cast<std::size_t>(n);
    const Numbers U = orthogonal("U", n), V = orthogonal("V", n);
    check_subgradient(n, drawn_matrix("A", n));
    check_subgradient(n, Numbers(size * size));  // zero
    check_subgradient(n, U);                     // all values the same
    for (int rank = 1; rank < n; ++rank) {
      INFO("rank " << rank);
      Numbers S(size);
      std::fill_n(S.begin(), rank, 1.5);
      check_subgradient(n, composed(n, U, S, V));
    }
  }
}

TEST_CASE("nuclear_norm: 0 of zeros, |u| |v| of an outer product, the sum of magnitudes on a diagonal",
          "[ops][small_svd]") {
  CHECK(norm(4, Numbers(16)) == 0);
  CHECK(std::abs(norm(2, {3, 6, 4, 8}) - 5 * std::sqrt(5)) < 1e-12);
  const auto [value, slope] = found(3, {-2, 0, 0, 0, 0, 3, 0, -.25, 0});
  CHECK(std::abs(value - 5.25) < 1e-12);
  CHECK(relative_l2(slope, Numbers{-1, 0, 0, 0, 0, 1, 0, -1, 0}) < 1e-12);
}

TEST_CASE("nuclear_norm: in float the norm is computed in double", "[ops][small_svd]") {
  constexpr int n = 5;
  const auto A = drawn<float>("A", n * n), slope = constant<float>(n * n);
  const auto [value, exact] = found(n, in_double(A));
  CHECK(ops::nuclear_norm(n, A.data(), slope.data()) == value);
  CHECK(relative_l2(in_double(slope), exact) < rounding<float>);
}

TEST_CASE("nuclear_norm: NaN where a number is not finite", "[ops][small_svd]") {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), infinity, -infinity}) {
    const auto [value, slope] = found(3, {1, 2, 3, 4, bad, 6, 7, 8, 9});
    CHECK(std::isnan(value));
    CHECK(std::ranges::all_of(slope, [](double v) { return std::isnan(v); }));
  }
}
