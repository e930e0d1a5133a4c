#include <fieldstep/ops/epilogues.hpp>
#include <fieldstep/ops/matmul.hpp>
#include <support/gradient.hpp>
#include <support/product.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int K = 20, N = 37, rows = 11;

/// What a product with an epilogue stores.
template <class Real, class Epilogue>
Arena<Real> product(const Arena<Real>& x, const Matrix<Real, K, N>& weight, const Epilogue& epilogue) {
  const auto y = constant<Real>(rows * N);
  ops::matmul(Exec(), rows, ops::RowsLoader<Real>{x.data(), K}, weight.packed, y.data(), N, epilogue);
  return y;
}

}  // namespace

TEMPLATE_TEST_CASE("BiasGeluSlopeEpilogue: GELU and its slope", "[ops][epilogues]", float, double) {
  const Matrix<TestType, K, N> weight;
  const auto x = drawn<TestType>("x", rows * K), bias = drawn<TestType>("bias", N),
             slope = constant<TestType>(rows * N);
  const Numbers before = in_double(product(x, weight, ops::BiasEpilogue<TestType>{bias.data()}));
  const Numbers y = in_double(product(x, weight, ops::BiasGeluSlopeEpilogue<TestType>{bias.data(), slope.data(), N}));
  Numbers exact, exact_slope;
  for (const double v : before) {
    exact.push_back(ops::gelu_naive(v));
    exact_slope.push_back(derivative([=](double t) { return ops::gelu_naive(v + t); }));
  }
  CHECK(relative_l2(y, exact) < rounding<TestType>);
  CHECK(relative_l2(in_double(slope), exact_slope) < std::max(rounding<TestType>, 1e-11));
}

TEMPLATE_TEST_CASE("BranchEpilogue: residual + keep * gamma * branch, and the branch", "[ops][epilogues]", float,
                   double) {
  constexpr int positions = 4;  // the last sample lacks one
  const Matrix<TestType, K, N> weight;
  const auto x = drawn<TestType>("x", rows * K), bias = drawn<TestType>("bias", N), gamma = drawn<TestType>("gamma", N),
             residual = drawn<TestType>("residual", rows * N), keep = drawn<TestType>("keep", 3),
             branch = constant<TestType>(rows * N);
  for (const TestType* kept : {static_cast<const TestType*>(nullptr), static_cast<const TestType*>(keep.data())}) {
    const ops::ResidualEpilogue<TestType, N> join{bias.data(), gamma.data(), residual.data(), kept, positions, {}};
    const auto y = product(x, weight, ops::BranchEpilogue<TestType, N>{join, branch.data()});
    CHECK(same_bits(branch, product(x, weight, ops::BiasEpilogue<TestType>{bias.data()})));
    Numbers exact = in_double(residual);
    for (std::size_t i = 0; i < exact.size(); ++i)
      exact[i] += (kept ? static_cast<double>(kept[i / N / positions]) : 1) * static_cast<double>(gamma.data()[i % N]) *
                  static_cast<double>(branch.data()[i]);
    CHECK(relative_l2(in_double(y), exact) < rounding<TestType>);
  }
}

TEMPLATE_TEST_CASE("BiasCopyEpilogue: the same in two places", "[ops][epilogues]", float, double) {
  const Matrix<TestType, K, N> weight;
  const auto x = drawn<TestType>("x", rows * K), bias = drawn<TestType>("bias", N), copy = constant<TestType>(rows * N);
  const auto y = product(x, weight, ops::BiasCopyEpilogue<TestType>{bias.data(), copy.data(), N});
  CHECK(same_bits(y, product(x, weight, ops::BiasEpilogue<TestType>{bias.data()})));
  CHECK(same_bits(copy, y));
}
