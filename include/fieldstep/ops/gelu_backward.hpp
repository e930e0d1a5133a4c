#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/vec.hpp>

#include <cstddef>

namespace fieldstep::ops {

/// Gradient of gelu(x * scale), an instance norm's result, by that result: dy *= gelu'(x * scale).
///   x, dy: (samples, rows, Channels); scale: (samples, Channels)
template <int Channels, class Exec, class Real>
void scaled_gelu_backward(const Exec& exec, int samples, int rows, const Real* x, const Real* scale, Real* dy) {
  constexpr int L = lanes_for<Real>(Channels);
  for_ranges(exec, samples * rows, [=](int begin, int end) {
    for (int row = begin; row < end; ++row) {
      const auto at = static_cast<std::ptrdiff_t>(row) * Channels;
      const Real* factor = scale + static_cast<std::ptrdiff_t>(row / rows) * Channels;
      for (int c = 0; c < Channels; c += L) {
        vec<Real, L> slope;
        gelu<Real, L>(load<L>(x + at + c) * load<L>(factor + c), slope);
        store<L>(dy + at + c, load<L>(dy + at + c) * slope);
      }
    }
  });
}

/// The same, one thread a number, for any execution space: yardstick of the test, and the device path.
template <class Exec, class Real>
void scaled_gelu_backward_naive(const Exec& exec, int samples, int rows, int channels, const Real* x, const Real* scale,
                                Real* dy) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {samples * rows, channels}),
      KOKKOS_LAMBDA(int row, int c) {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * channels + c;
        const Real v = x[at] * scale[static_cast<std::ptrdiff_t>(row / rows) * channels + c];
        const Real probability = Real(0.5) * Kokkos::erfc(v * Real(-0.70710678118654752440));
        dy[at] *= probability + v * Kokkos::exp(v * v * Real(-0.5)) * Real(0.39894228040143267794);
      });
}

}  // namespace fieldstep::ops
