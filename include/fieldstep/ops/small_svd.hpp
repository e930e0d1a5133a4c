#pragma once
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace fieldstep::ops {

namespace detail {

using SquareMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// Without what only other matrices need: Eigen takes long to compile.
using SquareSvd = Eigen::JacobiSVD<SquareMatrix, Eigen::NoQRPreconditioner>;

}  // namespace detail

/// The nuclear norm of a square matrix, the sum of its singular values, and its subgradient U W^T of A = U S W^T, which
/// is written to `slope` (n, n) where that is not null. NaN where A is not finite.
///   A: (n, n), row-major
template <class Real>
double nuclear_norm(int n, const Real* A, Real* slope) {
  using detail::SquareMatrix;
  SquareMatrix a(n, n);
  for (int i = 0; i < n * n; ++i) a.data()[i] = static_cast<double>(A[i]);
  if (!a.allFinite()) {  // Eigen would leave its factors as they lie in memory
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    if (slope) std::fill_n(slope, n * n, static_cast<Real>(nan));
    return nan;
  }
  const detail::SquareSvd svd(a, Eigen::ComputeFullU | Eigen::ComputeFullV);
  if (slope) {
    const SquareMatrix product = svd.matrixU() * svd.matrixV().transpose();
    for (int i = 0; i < n * n; ++i) slope[i] = static_cast<Real>(product.data()[i]);
  }
  return svd.singularValues().sum();
}

/// Mean (dims) of points (points, dims) and their `count` directions of largest variance, orthonormal rows (count,
/// dims) in descending order, each with its entry of largest size positive. In double.
template <class Real>
void principal_components(std::size_t points, int dims, const Real* x, int count, double* mean, double* components) {
  const auto n = static_cast<std::size_t>(dims);
  std::fill_n(mean, n, 0);
  for (std::size_t p = 0; p < points; ++p)
    for (std::size_t c = 0; c < n; ++c) mean[c] += static_cast<double>(x[p * n + c]) / static_cast<double>(points);
  detail::SquareMatrix covariance = detail::SquareMatrix::Zero(dims, dims);
  std::vector<double> centred(n);
  for (std::size_t p = 0; p < points; ++p) {
    for (std::size_t c = 0; c < n; ++c) centred[c] = static_cast<double>(x[p * n + c]) - mean[c];
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) covariance.data()[i * n + j] += centred[i] * centred[j];
  }
  const detail::SquareSvd svd(covariance, Eigen::ComputeFullU);  // of a covariance its eigenvectors, in this order
  for (int k = 0; k < count; ++k) {
    double* v = components + k * dims;
    for (int c = 0; c < dims; ++c) v[c] = svd.matrixU()(c, k);
    const double largest = *std::max_element(v, v + dims, [](double a, double b) { return std::abs(a) < std::abs(b); });
    for (int c = 0; largest < 0 && c < dims; ++c) v[c] = -v[c];
  }
}

}  // namespace fieldstep::ops
