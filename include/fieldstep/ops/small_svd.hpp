#pragma once
#include <Eigen/Dense>

namespace fieldstep::ops {

/// The nuclear norm of a square matrix, the sum of its singular values, and its subgradient U W^T of A = U S W^T, which
/// is written to `slope` (n, n) where that is not null.
///   A: (n, n), row-major
template <class Real>
double nuclear_norm(int n, const Real* A, Real* slope) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Matrix a(n, n);
  for (int i = 0; i < n * n; ++i) a.data()[i] = static_cast<double>(A[i]);
  const Eigen::JacobiSVD<Matrix> svd(a, Eigen::ComputeFullU | Eigen::ComputeFullV);
  if (slope) {
    const Matrix product = svd.matrixU() * svd.matrixV().transpose();
    for (int i = 0; i < n * n; ++i) slope[i] = static_cast<Real>(product.data()[i]);
  }
  return svd.singularValues().sum();
}

}  // namespace fieldstep::ops
