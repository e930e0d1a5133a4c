#include <benchmarks/step/matmul.hpp>

#include <Eigen/Core>

namespace fieldstep::benchmarks {

namespace {

/// The same with the naive version and, on one thread, with Eigen.
template <int K, int N>
void add_comparison(const Exec& exec, const std::string& suffix, int rows) {
  add_product_case<K, N>("matmul_naive", exec, suffix, rows, [=](const Product<K, N>& p) {
    ops::matmul_naive(exec, p.rows, p.x.data(), K, typename Product<K, N>::Weight(p.w.data()), p.bias.data(),
                      p.y.data(), N);
    exec.fence("matmul_naive");
  });
  if (workers(exec) > 1) return;
  Eigen::setNbThreads(1);
  add_product_case<K, N>("matmul_eigen", exec, suffix, rows, [](const Product<K, N>& p) {
    using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Eigen::Map<const Matrix> x(p.x.data(), p.rows, K), w(p.w.data(), K, N);
    const Eigen::Map<const Eigen::RowVectorXf> bias(p.bias.data(), N);
    Eigen::Map<Matrix> y(p.y.data(), p.rows, N);
    y.noalias() = x * w;
    y.rowwise() += bias;
  });
}

}  // namespace

/// The token shapes of ScOT-T at 128 x 128, stage by stage.
void add_matmul_cases(const Exec& exec, const std::string& suffix) {
  add_product<48, 144>(exec, suffix, 1024);
  add_comparison<48, 144>(exec, suffix, 1024);
  add_product<48, 192>(exec, suffix, 1024);
  add_product<192, 48>(exec, suffix, 1024);
  add_product<96, 288>(exec, suffix, 256);
  add_product<96, 384>(exec, suffix, 256);
  add_comparison<96, 384>(exec, suffix, 256);
  add_product<384, 96>(exec, suffix, 256);
  add_product<192, 768>(exec, suffix, 64);
  add_product<384, 1536>(exec, suffix, 16);
  add_product<384, 1536>(exec, suffix, 64);
}

}  // namespace fieldstep::benchmarks
