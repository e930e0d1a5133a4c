#pragma once
#include <fieldstep/core/packed.hpp>
#include <support/numbers.hpp>

#include <string>

namespace fieldstep::support {

/// A weight drawn at random: as a PyTorch Linear stores it, (N, K), and packed.
template <class Real, int K, int N>
struct Matrix {
  using Packing = Packed<Real, LinearLayout<K, N>>;
  std::string name = "weight";
  Arena<Real> original = drawn<Real>(name, std::size_t{K} * N);
  Arena<Real> memory = constant<Real>(Packing::stored_size, 0);
  Packed<const Real, LinearLayout<K, N>> packed = pack();

 private:
  Packing pack() const {
    const Packing w(memory.data());
    for (int n = 0; n < N; ++n)
      for (int k = 0; k < K; ++k) w(k, n) = original.data()[n * K + k];
    return w;
  }
};

/// x (rows, K) times the matrix, in double.
template <class Real, int K, int N>
Numbers exact_product(const Arena<Real>& x, int rows, const Matrix<Real, K, N>& weight) {
  Numbers y(static_cast<std::size_t>(rows) * N);
  for (int r = 0; r < rows; ++r)
    for (int n = 0; n < N; ++n) {
      double& sum = y[static_cast<std::size_t>(r * N + n)];
      for (int k = 0; k < K; ++k)
        sum += static_cast<double>(x.data()[r * K + k]) * static_cast<double>(weight.original.data()[n * K + k]);
    }
  return y;
}

}  // namespace fieldstep::support
