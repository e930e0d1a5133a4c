#pragma once
#include <fieldstep/core/random.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

namespace fieldstep {

/// Rows of normal draws made orthonormal, one after the other, in double; of a tall matrix its columns.
inline std::vector<double> orthonormal(std::size_t rows, std::size_t columns, Key key) {
  const bool tall = rows > columns;
  const std::size_t vectors = tall ? columns : rows, length = tall ? rows : columns;
  std::vector<double> q(rows * columns);
  for (std::size_t i = 0; i < q.size(); ++i) q[i] = static_cast<double>(random_normal(random_bits(key, i, q.size())));
  for (std::size_t i = 0; i < vectors; ++i) {
    double* v = q.data() + i * length;
    const auto dot = [&](const double* x) {
      double sum = 0;
      for (std::size_t k = 0; k < length; ++k) sum += x[k] * v[k];
      return sum;
    };
    for (int twice = 0; twice < 2; ++twice)
      for (std::size_t j = 0; j < i; ++j) {
        const double *u = q.data() + j * length, along = dot(u);
        for (std::size_t k = 0; k < length; ++k) v[k] -= along * u[k];
      }
    const double norm = std::sqrt(dot(v));
    for (std::size_t k = 0; k < length; ++k) v[k] /= norm;
  }
  if (!tall) return q;
  std::vector<double> transposed(q.size());
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) transposed[i * columns + j] = q[j * rows + i];
  return transposed;
}

}  // namespace fieldstep
