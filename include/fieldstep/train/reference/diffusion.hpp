#pragma once
#include <fieldstep/train/reference/periodic_rows.hpp>

#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

// Diffusion of a periodic field, state (channels, points); number = diffusivity dt / spacing^2. All of it is symmetric:
// every step is its own adjoint.
namespace fieldstep::train {

namespace detail {

/// a u_i + b (u_{i-1} + u_{i+1})
template <class Real>
void symmetric_stencil(int rows, int points, Real a, Real b, const Real* u, Real* to) {
  const PeriodicRows periodic{points};
  periodic.for_each(rows, [&](auto at) {
    for (int i = 0; i < points; ++i)
      to[at + i] = a * u[at + i] + b * (u[at + periodic.left(i)] + u[at + periodic.right(i)]);
  });
}

}  // namespace detail

/// Explicit Euler: u_i + number (u_{i-1} - 2 u_i + u_{i+1}); stable up to number = 1/2.
struct ExplicitDiffusion {
  int points;
  double number;
  int channels = 1;

  template <class Real>
  void forward(int samples, const Real* u, Real* next) const {
    detail::symmetric_stencil(samples * channels, points, static_cast<Real>(1 - 2 * number), static_cast<Real>(number),
                              u, next);
  }
  template <class Real>
  void vjp(int samples, const Real*, const Real* g, Real* du) const {
    forward(samples, g, du);
  }
};

/// Implicit Euler: (1 - number Laplacian) next = u, by the inverse, which is a convolution.
class ImplicitDiffusion {
 public:
  ImplicitDiffusion(int points, double number, int channels = 1)
      : points_(points), channels_(channels), kernel_(static_cast<std::size_t>(points)) {
    for (int j = 0; j < points; ++j)
      for (int k = 0; k < points; ++k) {
        const double wave = 2 * std::numbers::pi * k / points;
        kernel_[static_cast<std::size_t>(j)] += std::cos(wave * j) / (1 + 2 * number * (1 - std::cos(wave))) / points;
      }
  }

  template <class Real>
  void forward(int samples, const Real* u, Real* next) const {
    detail::PeriodicRows{points_}.for_each(samples * channels_, [&](auto at) {
      for (int i = 0; i < points_; ++i) {
        double sum = 0;
        for (int j = 0; j < points_; ++j)
          sum += kernel_[static_cast<std::size_t>(i >= j ? i - j : i + points_ - j)] * static_cast<double>(u[at + j]);
        next[at + i] = static_cast<Real>(sum);
      }
    });
  }
  template <class Real>
  void vjp(int samples, const Real*, const Real* g, Real* du) const {
    forward(samples, g, du);
  }

 private:
  int points_, channels_;
  std::vector<double> kernel_;
};

/// What implicit Euler leaves unbalanced: next - prev - number Laplacian(next).
struct ImplicitDiffusionResiduum {
  int points;
  double number;
  int channels = 1;

  template <class Real>
  void forward(int samples, const Real* next, const Real* prev, Real* r) const {
    stencil(samples, next, r);
    for (std::ptrdiff_t i = 0; i < std::ptrdiff_t{samples} * channels * points; ++i) r[i] -= prev[i];
  }
  template <class Real>
  void vjp(int samples, const Real*, const Real*, const Real* g, Real* dnext, Real* dprev) const {
    if (dnext) stencil(samples, g, dnext);
    for (std::ptrdiff_t i = 0; dprev && i < std::ptrdiff_t{samples} * channels * points; ++i) dprev[i] = -g[i];
  }

 private:
  template <class Real>
  void stencil(int samples, const Real* u, Real* to) const {
    detail::symmetric_stencil(samples * channels, points, static_cast<Real>(1 + 2 * number), static_cast<Real>(-number),
                              u, to);
  }
};

}  // namespace fieldstep::train
