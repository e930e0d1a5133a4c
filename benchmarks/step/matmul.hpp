#pragma once
#include <benchmarks/step/cases.hpp>
#include <fieldstep/ops/matmul_backward.hpp>

namespace fieldstep::benchmarks {

/// A product of M rows by a K x N weight, with a bias.
template <int K, int N>
struct Product {
  using Weight = Packed<const float, LinearLayout<K, N>>;
  int rows;
  Arena<float> x = some_numbers(static_cast<std::size_t>(rows) * K), w = some_numbers(Weight::stored_size),
               bias = some_numbers(N), y = some_numbers(static_cast<std::size_t>(rows) * N);
};

/// Adds a case of `op` at that size; run(product) is what is timed.
template <int K, int N, class Run>
void add_product_case(const std::string& op, const Exec& exec, const std::string& suffix, int rows, const Run& run) {
  const std::string shape = std::to_string(rows) + "x" + std::to_string(K) + "x" + std::to_string(N);
  const double m = rows;
  add_case(op + "/" + shape + suffix, exec, {2 * m * K * N, 4 * (m * K + m * N + double{K} * N)},
           [=] { return [run, p = Product<K, N>{rows}] { run(p); }; });
}

template <int K, int N>
void add_product(const Exec& exec, const std::string& suffix, int rows) {
  add_product_case<K, N>("matmul", exec, suffix, rows, [=](const Product<K, N>& p) {
    ops::matmul(exec, p.rows, ops::RowsLoader<float>{p.x.data(), K}, typename Product<K, N>::Weight(p.w.data()),
                p.y.data(), N, ops::BiasEpilogue<float>{p.bias.data()});
    exec.fence("matmul");
  });
  add_product_case<K, N>("matmul_transposed", exec, suffix, rows, [=](const Product<K, N>& p) {
    ops::matmul_transposed(exec, p.rows, ops::RowsLoader<float>{p.y.data(), N},
                           typename Product<K, N>::Weight(p.w.data()), p.x.data(), K, ops::PlainEpilogue<float>{});
    exec.fence("matmul_transposed");
  });
  add_product_case<K, N>("add_weight_gradient", exec, suffix, rows, [=](const Product<K, N>& p) {
    ops::add_weight_gradient(exec, p.rows, ops::RowsLoader<float>{p.x.data(), K}, p.y.data(), N,
                             Packed<float, LinearLayout<K, N>>(p.w.data()), p.bias.data());
    exec.fence("add_weight_gradient");
  });
}

}  // namespace fieldstep::benchmarks
