#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/statistics.hpp>

#include <cmath>
#include <cstddef>

namespace fieldstep::ops {

/// Mean and unbiased standard deviation of every field of every sample over its frames and pixels; eps is added to the
/// deviation.
///   x: (batch, frames, fields, pixels); planes: 2 * batch * frames * fields numbers of scratch
///   mean, deviation: (batch, fields)
/// Every plane is reduced by itself in a fixed order and the planes are joined in double (Chan, Golub, LeVeque 1983).
template <class Exec, class Real>
void field_statistics(const Exec& exec, int batch, int frames, int fields, int pixels, double eps, const Real* x,
                      Real* planes, Real* mean, Real* deviation) {
  for_ranges(exec, batch * frames * fields, [=](int begin, int end) {
    constexpr int L = lanes<Real>;
    for (int p = begin; p < end; ++p) {
      const Real* plane = x + static_cast<std::ptrdiff_t>(p) * pixels;
      const auto at = [=](int r) { return load<L>(plane + r * L); };
      const Real m = sum<Real, L>(detail::blocked_sum<Real, L>(pixels / L, at)) / static_cast<Real>(pixels);
      planes[2 * p] = m;
      planes[2 * p + 1] = sum<Real, L>(detail::blocked_sum<Real, L>(pixels / L, [=](int r) {
        const vec<Real, L> d = at(r) - m;
        return d * d;
      }));
    }
  });
  for_ranges(exec, batch * fields, [=](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const auto plane = [=](int t) { return planes + 2 * ((i / fields * frames + t) * fields + i % fields); };
      double m = 0, squares = 0;
      for (int t = 0; t < frames; ++t) m += static_cast<double>(plane(t)[0]) / frames;
      for (int t = 0; t < frames; ++t) {
        const double d = static_cast<double>(plane(t)[0]) - m;
        squares += static_cast<double>(plane(t)[1]) + d * d * pixels;
      }
      mean[i] = static_cast<Real>(m);
      deviation[i] = static_cast<Real>(std::sqrt(squares / (static_cast<double>(frames) * pixels - 1)) + eps);
    }
  });
}

/// y = (x - mean) / deviation, mean and deviation (batch, fields).
template <class Exec, class Real>
void standardise(const Exec& exec, int batch, int frames, int fields, int pixels, const Real* x, const Real* mean,
                 const Real* deviation, Real* y) {
  for_ranges(exec, batch * frames * fields, [=](int begin, int end) {
    for (int p = begin; p < end; ++p) {
      const int i = p / (frames * fields) * fields + p % fields;
      const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(p) * pixels;
      for (int at = 0; at < pixels; ++at) y[first + at] = (x[first + at] - mean[i]) / deviation[i];
    }
  });
}

// --- The same, naively: for any execution space, yardstick of the tests and benchmarks, and the device path ---

/// As field_statistics, one thread a field of a sample, summed in double.
template <class Exec, class Real>
void field_statistics_naive(const Exec& exec, int batch, int frames, int fields, int pixels, double eps, const Real* x,
                            Real* mean, Real* deviation) {
  Kokkos::parallel_for(
      Kokkos::RangePolicy<Exec>(exec, 0, batch * fields), KOKKOS_LAMBDA(int i) {
        const auto at = [=](int t, int pixel) {
          return static_cast<double>(
              x[((static_cast<std::ptrdiff_t>(i / fields) * frames + t) * fields + i % fields) * pixels + pixel]);
        };
        const double count = static_cast<double>(frames) * pixels;
        double m = 0, squares = 0;
        for (int t = 0; t < frames; ++t)
          for (int p = 0; p < pixels; ++p) m += at(t, p) / count;
        for (int t = 0; t < frames; ++t)
          for (int p = 0; p < pixels; ++p) squares += (at(t, p) - m) * (at(t, p) - m);
        mean[i] = static_cast<Real>(m);
        deviation[i] = static_cast<Real>(Kokkos::sqrt(squares / (count - 1)) + eps);
      });
}

/// As standardise, one thread a number of a plane.
template <class Exec, class Real>
void standardise_naive(const Exec& exec, int batch, int frames, int fields, int pixels, const Real* x, const Real* mean,
                       const Real* deviation, Real* y) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {batch * frames * fields, pixels}),
      KOKKOS_LAMBDA(int plane, int pixel) {
        const int i = plane / (frames * fields) * fields + plane % fields;
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(plane) * pixels + pixel;
        y[at] = (x[at] - mean[i]) / deviation[i];
      });
}

}  // namespace fieldstep::ops
