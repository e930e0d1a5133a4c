#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/vec.hpp>

#include <cstddef>

// Gradients of weights are sums over the whole batch. They are cut at fixed places, each part is summed by one thread,
// and the parts are joined here in order: the bits do not depend on the number of threads.
namespace fieldstep::ops {

/// sum[c] += factor[c] * (x[0, c] + x[1, c] + ...) for Count columns of x (rows, stride), added up in order; factor may
/// be null for 1.
template <int Count, class Exec, class Real>
void add_rows(const Exec& exec, int rows, const Real* x, std::ptrdiff_t stride, const Real* factor, Real* sum) {
  constexpr int L = lanes_for<Real>(Count);
  for_ranges(exec, Count / L, [=](int begin, int end) {
    for (int c = begin * L; c < end * L; c += L) {
      vec<Real, L> total{};
      for (int r = 0; r < rows; ++r) total += load<L>(x + r * stride + c);
      if (factor) total *= load<L>(factor + c);
      store<L>(sum + c, load<L>(sum + c) + total);
    }
  });
}

/// The same, naively: for any execution space, and the device path.
template <class Exec, class Real>
void add_rows_naive(const Exec& exec, int rows, int count, const Real* x, std::ptrdiff_t stride, const Real* factor,
                    Real* sum) {
  Kokkos::parallel_for(
      Kokkos::RangePolicy<Exec>(exec, 0, count), KOKKOS_LAMBDA(int c) {
        Real total = 0;
        for (int r = 0; r < rows; ++r) total += x[r * stride + c];
        sum[c] += total * (factor ? factor[c] : Real(1));
      });
}

}  // namespace fieldstep::ops
