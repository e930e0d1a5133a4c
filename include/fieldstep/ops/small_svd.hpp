#pragma once
#include <Eigen/Dense>
#include <algorithm>
#include <cstddef>
#include <limits>

namespace fieldstep::ops {

/// The nuclear norm of a square matrix, the sum of its singular values, and its subgradient U W^T of A = U S W^T, which
/// is written to `slope` (n, n) where that is not null. NaN where A is not finite.
///   A: (n, n), row-major
template <class Real>
double nuclear_norm(int n, const Real* A, Real* slope) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Matrix a(n, n);
  for (int i = 0; i < n * n; ++i) a.data()[i] = static_cast<double>(A[i]);
  if (!a.allFinite()) {  // Eigen would leave its factors as they lie in memory
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    if (slope) std::fill_n(slope, n * n, static_cast<Real>(nan));
    return nan;
  }
  const Eigen::JacobiSVD<Matrix> svd(a, Eigen::ComputeFullU | Eigen::ComputeFullV);
  if (slope) {
    const Matrix product = svd.matrixU() * svd.matrixV().transpose();
    for (int i = 0; i < n * n; ++i) slope[i] = static_cast<Real>(product.data()[i]);
  }
  return svd.singularValues().sum();
}

/// Mean (dims) of points (points, dims) and their `count` directions of largest variance, orthonormal rows (count,
/// dims) in descending order, each with its entry of largest size positive. In double.
template <class Real>
void principal_components(std::size_t points, int dims, const Real* x, int count, double* mean, double* components) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Given = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Map<const Given> given(x, static_cast<Eigen::Index>(points), dims);
  Matrix centred = given.template cast<double>();
  const Eigen::RowVectorXd mu = centred.colwise().mean();
  centred.rowwise() -= mu;
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(centred.transpose() * centred);
  std::copy_n(mu.data(), dims, mean);
  for (int k = 0; k < count; ++k) {
    Eigen::VectorXd v = solver.eigenvectors().col(dims - 1 - k);
    Eigen::Index largest = 0;
    v.cwiseAbs().maxCoeff(&largest);
    if (v(largest) < 0) v = -v;
    std::copy_n(v.data(), dims, components + k * dims);
  }
}

}  // namespace fieldstep::ops
