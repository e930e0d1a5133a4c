#include <fieldstep/ops/matmul.hpp>
#include <support/numbers.hpp>
#include <support/product.hpp>
#include <support/threads.hpp>

#include <Eigen/Core>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int most_rows = 40;

/// A product with a bias: rows of K numbers, K x N weights.
template <class Real, int K, int N>
struct Product {
  Matrix<Real, K, N> weight;
  Arena<Real> x = drawn<Real>("x", most_rows*K), bias = drawn<Real>("bias", N);

  Arena<Real> run(const Exec& exec, int rows, int first_row = 0) const {
    const auto y = constant<Real>(static_cast<std::size_t>(rows) * N);
    ops::matmul(exec, rows, ops::RowsLoader<Real>{x.data() + first_row * K, K}, weight.packed, y.data(), N,
                ops::BiasEpilogue<Real>{bias.data()});
    return y;
  }
  Numbers exact(int rows) const {
    auto y = exact_product(x, rows, weight);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += static_cast<double>(bias.data()[i % N]);
    return y;
  }
};

/// For any number of rows: right, and the same bits from one thread, from two, and row by row.
template <class Real, int K, int N>
void check_product() {
  const Product<Real, K, N> product;
  const auto by_row = [&] {
    const auto y = constant<Real>(most_rows * N);
    for (int r = 0; r < most_rows; ++r) std::copy_n(product.run(Exec(), 1, r).data(), N, y.data() + r * N);
    return y;
  }();
  for (int rows = 1; rows <= most_rows; ++rows) {
    INFO(rows << " rows");
    const auto y = product.run(Exec(), rows);
    CHECK(relative_l2(in_double(y), product.exact(rows)) < rounding<Real>);
    CHECK(same_bits(y, product.run(one_thread(), rows)));
    CHECK(std::equal(y.data(), y.data() + y.size(), by_row.data()));
  }
}

}  // namespace

// Within a vector, whole vectors, whole panels and their rests; K with one depth, two and three.
TEMPLATE_TEST_CASE_SIG("matmul: agrees with a product in double; equal bits for any threads and any cut of the rows",
                       "[ops][matmul][property]", ((int K, int N), K, N), (1, 1), (3, 5), (12, 25), (7, 48), (48, 144),
                       (5, 70), (256, 31), (300, 33), (320, 40), (768, 97)) {
  check_product<float, K, N>();
}

TEMPLATE_TEST_CASE_SIG("matmul: in double to double's rounding", "[ops][matmul][property]", ((int K, int N), K, N),
                       (3, 5), (48, 37), (512, 29)) {
  check_product<double, K, N>();
}

TEMPLATE_TEST_CASE_SIG("matmul: matrices side by side give the bits that each gives alone", "[ops][matmul]",
                       ((int K, int N), K, N), (20, 7), (48, 48), (400, 53)) {
  constexpr int rows = 37, parts = 3;
  const Matrix<float, K, N> weights[parts] = {{"q"}, {"k"}, {"v"}};
  const auto x = drawn<float>("x", rows * K);
  const auto together = constant<float>(rows * parts * N), alone = constant<float>(rows * N);
  const ops::RowsLoader<float> load{x.data(), K};
  ops::matmul(Exec(), rows, load, std::array{weights[0].packed, weights[1].packed, weights[2].packed}, together.data(),
              parts * N, ops::PlainEpilogue<float>{});
  for (int part = 0; part < parts; ++part) {
    ops::matmul(Exec(), rows, load, weights[part].packed, alone.data(), N, ops::PlainEpilogue<float>{});
    for (int r = 0; r < rows; ++r)
      CHECK(std::equal(alone.data() + r * N, alone.data() + r * N + N, together.data() + (r * parts + part) * N));
  }
}

TEST_CASE("matmul: many rows, more than a block", "[ops][matmul]") {
  constexpr int K = 64, N = 40, rows = 3 * ops::block_rows(K) + 5;
  const Matrix<float, K, N> weight;
  const auto x = drawn<float>("x", rows * K);
  const auto y = constant<float>(rows * N), serial = constant<float>(rows * N);
  const auto run = [&](const Exec& exec, float* to) {
    ops::matmul(exec, rows, ops::RowsLoader<float>{x.data(), K}, weight.packed, to, N, ops::PlainEpilogue<float>{});
  };
  run(Exec(), y.data());
  run(one_thread(), serial.data());
  CHECK(relative_l2(in_double(y), exact_product(x, rows, weight)) < rounding<float>);
  CHECK(same_bits(y, serial));
}

TEST_CASE("matmul: a range of columns gives the bits of the whole and leaves the columns behind it alone",
          "[ops][matmul]") {
  constexpr int K = 32, N = 100, rows = 13;
  const Product<float, K, N> product;
  const auto whole = product.run(Exec(), rows);
  constexpr int width = panel_width<float>;
  for (const auto& [first, last] : {std::pair{0, 1}, {0, 48}, {0, 99}, {5, 60}, {width, N}, {60, 61}, {99, 100}}) {
    INFO("columns " << first << " to " << last);
    const auto y = constant<float>(rows * N, -7.f);
    ops::matmul(Exec(), rows, ops::RowsLoader<float>{product.x.data(), K}, product.weight.packed, y.data(), N,
                ops::BiasEpilogue<float>{product.bias.data()}, first, last);
    bool inside = true, outside = true;
    for (int r = 0; r < rows; ++r)
      for (int n = 0; n < N; ++n) {
        const float found = y.data()[r * N + n];
        if (n >= first && n < last) inside = inside && found == whole.data()[r * N + n];
        if (n < first / width * width || n >= last) outside = outside && found == -7.f;
      }
    CHECK(inside);
    CHECK(outside);
  }
}

TEST_CASE("matmul: strides of x and y may be wider than their rows", "[ops][matmul]") {
  constexpr int K = 20, N = 30, rows = 9, x_stride = K + 3, y_stride = N + 5;
  const Matrix<float, K, N> weight;
  const auto wide = drawn<float>("x", rows * x_stride), x = constant<float>(rows * K);
  for (int r = 0; r < rows; ++r) std::copy_n(wide.data() + r * x_stride, K, x.data() + r * K);
  const auto y = constant<float>(rows * y_stride, -7.f), dense = constant<float>(rows * N);
  ops::matmul(Exec(), rows, ops::RowsLoader<float>{wide.data(), x_stride}, weight.packed, y.data(), y_stride,
              ops::PlainEpilogue<float>{});
  ops::matmul(Exec(), rows, ops::RowsLoader<float>{x.data(), K}, weight.packed, dense.data(), N,
              ops::PlainEpilogue<float>{});
  for (int r = 0; r < rows; ++r) {
    CHECK(std::equal(y.data() + r * y_stride, y.data() + r * y_stride + N, dense.data() + r * N));
    CHECK(std::all_of(y.data() + r * y_stride + N, y.data() + (r + 1) * y_stride, [](float v) { return v == -7.f; }));
  }
}

TEST_CASE("matmul: the GELU epilogue equals gelu of the biased product", "[ops][matmul]") {
  constexpr int K = 24, N = 37, rows = 11;
  const Product<float, K, N> product;
  const auto y = constant<float>(rows * N);
  ops::matmul(Exec(), rows, ops::RowsLoader<float>{product.x.data(), K}, product.weight.packed, y.data(), N,
              ops::BiasGeluEpilogue<float>{product.bias.data()});
  auto exact = product.exact(rows);
  for (double& v : exact) v = ops::gelu_naive(v);
  CHECK(relative_l2(in_double(y), exact) < rounding<float>);
}

TEMPLATE_TEST_CASE("matmul_naive: agrees with the product in double, with and without bias", "[ops][matmul]", float,
                   double) {
  constexpr int K = 40, N = 53, rows = 7;
  const Product<TestType, K, N> product;
  const auto y = constant<TestType>(rows * N);
  const auto run = [&](const TestType* bias) {
    ops::matmul_naive(Exec(), rows, product.x.data(), K, product.weight.packed, bias, y.data(), N);
    return in_double(y);
  };
  CHECK(relative_l2(run(product.bias.data()), product.exact(rows)) < rounding<TestType>);
  CHECK(relative_l2(run(nullptr), exact_product(product.x, rows, product.weight)) < rounding<TestType>);
}

TEMPLATE_TEST_CASE_SIG("matmul: agrees with Eigen", "[ops][matmul]", ((int K, int N), K, N), (48, 144), (768, 97)) {
  using Dense = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Product<float, K, N> product;
  const auto y = product.run(Exec(), most_rows);
  const Eigen::Map<const Dense> x(product.x.data(), most_rows, K), w(product.weight.original.data(), N, K);
  const Eigen::Map<const Eigen::RowVectorXf> bias(product.bias.data(), N);
  const Dense exact = (x * w.transpose()).rowwise() + bias;
  CHECK((Eigen::Map<const Dense>(y.data(), most_rows, N) - exact).norm() < 1e-6f * exact.norm());
}

TEST_CASE("matmul: block sizes", "[ops][matmul]") {
  static_assert(ops::block_depth(48) == 48 && ops::block_depth(192) == 192 && ops::block_depth(256) == 128);
  static_assert(ops::block_depth(768) == 192 && ops::block_depth(320) == 160);
  static_assert(ops::block_depth(300) == 300);  // no multiple of 16 divides it
  SUCCEED();
}
