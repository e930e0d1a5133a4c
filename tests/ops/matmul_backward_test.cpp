#include <fieldstep/ops/matmul_backward.hpp>
#include <support/numbers.hpp>
#include <support/product.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int most_rows = 130;  // more than the rows of one pass of the weights' gradient

/// y = x W + bias, and a gradient of y.
template <class Real, int K, int N>
struct Product {
  using Packing = typename Matrix<Real, K, N>::Packing;
  Matrix<Real, K, N> weight;
  Arena<Real> x = drawn<Real>("x", most_rows*K), dy = drawn<Real>("dy", most_rows*N);

  Arena<Real> dx(const Exec& exec, int rows, int first_row = 0) const {
    const auto dx = constant<Real>(static_cast<std::size_t>(rows) * K);
    ops::matmul_transposed(exec, rows, ops::RowsLoader<Real>{dy.data() + first_row * N, N}, weight.packed, dx.data(), K,
                           ops::PlainEpilogue<Real>{});
    return dx;
  }
  Numbers exact_dx(int rows) const {
    Numbers dx(static_cast<std::size_t>(rows) * K);
    for (int r = 0; r < rows; ++r)
      for (int k = 0; k < K; ++k)
        for (int n = 0; n < N; ++n)
          dx[static_cast<std::size_t>(r * K + k)] +=
              static_cast<double>(dy.data()[r * N + n]) * static_cast<double>(weight.original.data()[n * K + k]);
    return dx;
  }

  /// dW and dbias one after the other, added to numbers that were there.
  Arena<Real> parameters(const Exec& exec, int rows) const {
    const auto memory = start();
    ops::add_weight_gradient(exec, rows, ops::RowsLoader<Real>{x.data(), K}, dy.data(), N, Packing(memory.data()),
                             memory.data() + Packing::stored_size);
    return memory;
  }
  static Arena<Real> start() {
    const auto memory = constant<Real>(Packing::stored_size + N, 0);
    for (int n = 0; n < N; ++n) {
      for (int k = 0; k < K; ++k) Packing(memory.data())(k, n) = Real(0.5) * static_cast<Real>(k - n);
      memory.data()[Packing::stored_size + static_cast<std::size_t>(n)] = static_cast<Real>(n);
    }
    return memory;
  }
  Numbers exact_parameters(int rows) const {
    Numbers sums = in_double(start());
    for (int r = 0; r < rows; ++r)
      for (int n = 0; n < N; ++n) {
        const auto g = static_cast<double>(dy.data()[r * N + n]);
        for (int k = 0; k < K; ++k) sums[Packing::index(k, n)] += static_cast<double>(x.data()[r * K + k]) * g;
        sums[Packing::stored_size + static_cast<std::size_t>(n)] += g;
      }
    return sums;
  }
};

template <class Real, int K, int N>
void check_gradients() {
  const Product<Real, K, N> product;
  const auto by_row = [&] {
    const auto dx = constant<Real>(most_rows * K);
    for (int r = 0; r < most_rows; ++r) std::copy_n(product.dx(Exec(), 1, r).data(), K, dx.data() + r * K);
    return dx;
  }();
  for (const int rows : {1, 2, 7, 8, 16, 31, 96, 97, most_rows}) {
    INFO(rows << " rows");
    const auto dx = product.dx(Exec(), rows);
    CHECK(relative_l2(in_double(dx), product.exact_dx(rows)) < rounding<Real>);
    CHECK(same_bits(dx, product.dx(one_thread(), rows)));
    CHECK(std::equal(dx.data(), dx.data() + dx.size(), by_row.data()));

    const auto parameters = product.parameters(Exec(), rows);
    CHECK(relative_l2(in_double(parameters), product.exact_parameters(rows)) < rounding<Real>);
    CHECK(same_bits(parameters, product.parameters(one_thread(), rows)));
  }
}

}  // namespace

// Within a vector, whole vectors, whole panels and their rests; K and N with one depth, two and three.
TEMPLATE_TEST_CASE_SIG(
    "matmul backward: agrees with products in double, padding stays zero; equal bits for any threads",
    "[ops][matmul_backward][property]", ((int K, int N), K, N), (1, 1), (3, 5), (12, 25), (48, 144), (5, 70), (256, 31),
    (33, 300), (40, 320), (97, 768), (1040, 20)) {
  check_gradients<float, K, N>();
}

TEMPLATE_TEST_CASE_SIG("matmul backward: in double to double's rounding", "[ops][matmul_backward][property]",
                       ((int K, int N), K, N), (3, 5), (48, 37), (29, 512)) {
  check_gradients<double, K, N>();
}

TEMPLATE_TEST_CASE_SIG("matmul backward: both gradients are adjoints of the product, <xW, dy> = <x, dx> = <W, dW>",
                       "[ops][matmul_backward][property]", ((int K, int N), K, N), (12, 25), (48, 144), (97, 768)) {
  const Product<double, K, N> product;
  const auto y = constant<double>(most_rows * N);
  ops::matmul(Exec(), most_rows, ops::RowsLoader<double>{product.x.data(), K}, product.weight.packed, y.data(), N,
              ops::PlainEpilogue<double>{});
  const auto inner = [](const Arena<double>& a, const Arena<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a.data()[i] * b.data()[i];
    return sum;
  };
  const double forward = inner(y, product.dy), scale = std::sqrt(inner(y, y) * inner(product.dy, product.dy));
  CHECK(std::abs(forward - inner(product.x, product.dx(Exec(), most_rows))) < 1e-14 * scale);
  const auto dw = product.parameters(Exec(), most_rows), before = product.start();
  double weights = 0;
  for (int k = 0; k < K; ++k)
    for (int n = 0; n < N; ++n) {
      const std::size_t at = Product<double, K, N>::Packing::index(k, n);
      weights += product.weight.packed(k, n) * (dw.data()[at] - before.data()[at]);
    }
  CHECK(std::abs(forward - weights) < 1e-12 * scale);  // dW was added to numbers up to K / 2
}

TEMPLATE_TEST_CASE_SIG("matmul backward: matrices side by side", "[ops][matmul_backward]", ((int K, int N), K, N),
                       (20, 7), (48, 48), (30, 200)) {
  constexpr int rows = 37, parts = 3;
  const Matrix<float, K, N> weights[parts] = {{"q"}, {"k"}, {"v"}};
  const auto x = drawn<float>("x", rows * K), dy = drawn<float>("dy", rows * parts * N);
  using Packing = typename Matrix<float, K, N>::Packing;

  const auto dx = constant<float>(rows * K);
  ops::matmul_transposed(Exec(), rows, ops::RowsLoader<float>{dy.data(), parts * N},
                         std::array{weights[0].packed, weights[1].packed, weights[2].packed}, dx.data(), K,
                         ops::PlainEpilogue<float>{});
  Numbers exact(rows * K);
  const auto together = constant<float>(parts * Packing::stored_size, 0), alone = constant<float>(Packing::stored_size),
             dbias = constant<float>(N, 0);
  const auto at = [&](int part) {
    return Packing(together.data() + static_cast<std::size_t>(part) * Packing::stored_size);
  };
  ops::add_weight_gradient(Exec(), rows, ops::RowsLoader<float>{x.data(), K}, dy.data(), parts * N,
                           std::array{at(0), at(1), at(2)}, std::array<float*, parts>{nullptr, dbias.data(), nullptr});
  for (int part = 0; part < parts; ++part) {
    const auto dy_part = constant<float>(rows * N), dx_part = constant<float>(rows * K);
    for (int r = 0; r < rows; ++r) std::copy_n(dy.data() + (r * parts + part) * N, N, dy_part.data() + r * N);
    ops::matmul_transposed_naive(Exec(), rows, dy_part.data(), N, weights[part].packed, dx_part.data(), K);
    for (std::size_t i = 0; i < exact.size(); ++i) exact[i] += static_cast<double>(dx_part.data()[i]);
    std::fill_n(alone.data(), alone.size(), 0.f);
    ops::add_weight_gradient(Exec(), rows, ops::RowsLoader<float>{x.data(), K}, dy_part.data(), N,
                             Packing(alone.data()));
    CHECK(std::equal(alone.data(), alone.data() + alone.size(), at(part).data_handle()));
  }
  CHECK(relative_l2(in_double(dx), exact) < rounding<float>);
  float sum = 0;
  for (int r = 0; r < rows; ++r) sum += dy.data()[r * parts * N + N];
  CHECK(std::abs(dbias.data()[0] - sum) < 1e-5f);
}

TEMPLATE_TEST_CASE_SIG("matmul backward: groups of a matrix's rows", "[ops][matmul_backward]", ((int K, int N), K, N),
                       (7, 12), (48, 48), (50, 200)) {
  constexpr int rows = 37, groups = 3;
  const Matrix<float, groups * K, N> weight;
  const auto dy = drawn<float>("dy", rows * groups * N), dx = constant<float>(rows * K);
  ops::matmul_transposed(Exec(), rows, ops::RowsLoader<float>{dy.data(), groups * N}, ops::row_groups<K>(weight.packed),
                         dx.data(), K, ops::PlainEpilogue<float>{});
  Numbers exact(rows * K);
  for (int r = 0; r < rows; ++r)
    for (int g = 0; g < groups; ++g)
      for (int k = 0; k < K; ++k)
        for (int n = 0; n < N; ++n)
          exact[static_cast<std::size_t>(r * K + k)] += static_cast<double>(dy.data()[(r * groups + g) * N + n]) *
                                                        static_cast<double>(weight.packed(g * K + k, n));
  CHECK(relative_l2(in_double(dx), exact) < rounding<float>);
}

TEST_CASE("matmul backward: the epilogue that multiplies, in place", "[ops][matmul_backward]") {
  constexpr int K = 37, N = 24, rows = 11;
  const Product<float, K, N> product;
  const auto factor = drawn<float>("factor", rows * K), dx = constant<float>(rows * K);
  std::copy_n(factor.data(), factor.size(), dx.data());
  ops::matmul_transposed(Exec(), rows, ops::RowsLoader<float>{product.dy.data(), N}, product.weight.packed, dx.data(),
                         K, ops::MultiplyEpilogue<float>{dx.data(), K});
  auto exact = product.exact_dx(rows);
  for (std::size_t i = 0; i < exact.size(); ++i) exact[i] *= static_cast<double>(factor.data()[i]);
  CHECK(relative_l2(in_double(dx), exact) < rounding<float>);
}

TEMPLATE_TEST_CASE("matmul backward, naive: agrees with the products in double", "[ops][matmul_backward]", float,
                   double) {
  constexpr int K = 40, N = 53, rows = 7;
  using P = Product<TestType, K, N>;
  const P product;
  const auto dx = constant<TestType>(rows * K), parameters = P::start();
  ops::matmul_transposed_naive(Exec(), rows, product.dy.data(), N, product.weight.packed, dx.data(), K);
  CHECK(relative_l2(in_double(dx), product.exact_dx(rows)) < rounding<TestType>);
  ops::add_weight_gradient_naive(Exec(), rows, product.x.data(), K, product.dy.data(), N,
                                 typename P::Packing(parameters.data()), parameters.data() + P::Packing::stored_size);
  CHECK(relative_l2(in_double(parameters), product.exact_parameters(rows)) < rounding<TestType>);
}
