#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/statistics.hpp>  // blocked_sum

#include <cstddef>

// Gradients through the mean and the deviation that standardise.hpp takes of every field of a sample.
namespace fieldstep::ops {

/// Sums of g and of g (x - mean) over the frames and pixels of every field of a sample.
///   g, x: (batch, frames, fields, pixels); planes: 2 * batch * frames * fields numbers of scratch
///   mean: (batch, fields), null for 0; sum, product: (batch, fields)
template <class Exec, class Real>
void field_products(const Exec& exec, int batch, int frames, int fields, int pixels, const Real* g, const Real* x,
                    const Real* mean, Real* planes, Real* sum, Real* product) {
  for_ranges(exec, batch * frames * fields, [=](int begin, int end) {
    constexpr int L = lanes<Real>;
    for (int p = begin; p < end; ++p) {
      const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(p) * pixels;
      const Real m = mean ? mean[p / (frames * fields) * fields + p % fields] : Real(0);
      const auto load_g = [=](int r) { return load<L>(g + first + r * L); };
      planes[2 * p] = ops::sum<Real, L>(detail::blocked_sum<Real, L>(pixels / L, load_g));
      planes[2 * p + 1] = ops::sum<Real, L>(detail::blocked_sum<Real, L>(
          pixels / L, [=](int r) { return load_g(r) * (load<L>(x + first + r * L) - m); }));
    }
  });
  for (int i = 0; i < batch * fields; ++i) {
    double s = 0, p = 0;
    for (int t = 0; t < frames; ++t) {
      const Real* plane = planes + 2 * ((i / fields * frames + t) * fields + i % fields);
      s += static_cast<double>(plane[0]), p += static_cast<double>(plane[1]);
    }
    sum[i] = static_cast<Real>(s), product[i] = static_cast<Real>(p);
  }
}

/// dx += what reaches x through its statistics, with M = frames * pixels and sigma = deviation - eps:
///   dmean / M + ddeviation (x - mean) / ((M - 1) sigma)        at sigma = 0 without the second term
///   x, dx: (batch, frames, fields, pixels); mean, deviation and their gradients: (batch, fields)
template <class Exec, class Real>
void add_statistics_gradient(const Exec& exec, int batch, int frames, int fields, int pixels, double eps, const Real* x,
                             const Real* mean, const Real* deviation, const Real* dmean, const Real* ddeviation,
                             Real* dx) {
  for_ranges(exec, batch * frames * fields, [=](int begin, int end) {
    constexpr int L = lanes<Real>;
    const auto count = static_cast<Real>(static_cast<double>(frames) * pixels);
    for (int p = begin; p < end; ++p) {
      const int i = p / (frames * fields) * fields + p % fields;
      const Real sigma = deviation[i] - static_cast<Real>(eps), shift = dmean[i] / count;
      const Real slope = sigma > 0 ? ddeviation[i] / ((count - 1) * sigma) : Real(0);
      const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(p) * pixels;
      for (int at = 0; at < pixels; at += L) {
        const vec<Real, L> centred = load<L>(x + first + at) - mean[i];
        store<L>(dx + first + at, load<L>(dx + first + at) + centred * slope + shift);
      }
    }
  });
}

// --- The same, naively: for any execution space, yardstick of the tests, and the device path ---

/// As field_products, one thread a field of a sample, summed in double.
template <class Exec, class Real>
void field_products_naive(const Exec& exec, int batch, int frames, int fields, int pixels, const Real* g, const Real* x,
                          const Real* mean, Real* sum, Real* product) {
  Kokkos::parallel_for(
      Kokkos::RangePolicy<Exec>(exec, 0, batch * fields), KOKKOS_LAMBDA(int i) {
        double s = 0, p = 0;
        for (int t = 0; t < frames; ++t)
          for (int pixel = 0; pixel < pixels; ++pixel) {
            const auto plane = static_cast<std::ptrdiff_t>(i / fields * frames + t) * fields + i % fields;
            const std::ptrdiff_t at = plane * pixels + pixel;
            s += static_cast<double>(g[at]);
            p += static_cast<double>(g[at]) * static_cast<double>(x[at] - (mean ? mean[i] : Real(0)));
          }
        sum[i] = static_cast<Real>(s);
        product[i] = static_cast<Real>(p);
      });
}

/// As add_statistics_gradient, one thread a number of a plane.
template <class Exec, class Real>
void add_statistics_gradient_naive(const Exec& exec, int batch, int frames, int fields, int pixels, double eps,
                                   const Real* x, const Real* mean, const Real* deviation, const Real* dmean,
                                   const Real* ddeviation, Real* dx) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {batch * frames * fields, pixels}),
      KOKKOS_LAMBDA(int plane, int pixel) {
        const int i = plane / (frames * fields) * fields + plane % fields;
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(plane) * pixels + pixel;
        const Real sigma = deviation[i] - static_cast<Real>(eps);
        const Real count = static_cast<Real>(static_cast<double>(frames) * pixels);
        dx[at] += dmean[i] / count;
        if (sigma > 0) dx[at] += ddeviation[i] * (x[at] - mean[i]) / ((count - 1) * sigma);
      });
}

}  // namespace fieldstep::ops
