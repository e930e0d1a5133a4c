#pragma once
#include <fieldstep/train/reference/periodic_rows.hpp>
#include <fieldstep/train/sample_data.hpp>

#include <cmath>

// Advection of a periodic field by `cfl` cells a step, as reference steppers: state (channels, points).
namespace fieldstep::train {

/// The exact solution for all waves that the grid resolves.
class ExactAdvection {
 public:
  ExactAdvection(int points, double cfl, int channels = 1)
      : rows_{points}, channels_(channels), ahead_(points, cfl), back_(points, -cfl) {}

  template <class Real>
  void forward(int samples, const Real* u, Real* next) const {
    rows_.for_each(samples * channels_, [&](auto at) { ahead_(u + at, next + at); });
  }
  /// The transpose of a shift is the shift back.
  template <class Real>
  void vjp(int samples, const Real*, const Real* g, Real* du) const {
    rows_.for_each(samples * channels_, [&](auto at) { back_(g + at, du + at); });
  }

 private:
  detail::PeriodicRows rows_;
  int channels_;
  PeriodicShift ahead_, back_;
};

/// First-order upwind differences: u_i - cfl (u_i - u_{i-1}), for negative cfl u_i - cfl (u_{i+1} - u_i).
struct UpwindAdvection {
  int points;
  double cfl;
  int channels = 1;

  template <class Real>
  void forward(int samples, const Real* u, Real* next) const {
    const detail::PeriodicRows rows{points};
    const Real c = static_cast<Real>(std::abs(cfl));
    rows.for_each(samples * channels, [&](auto at) {
      for (int i = 0; i < points; ++i)
        next[at + i] = u[at + i] - c * (u[at + i] - u[at + (cfl > 0 ? rows.left(i) : rows.right(i))]);
    });
  }
  template <class Real>
  void vjp(int samples, const Real*, const Real* g, Real* du) const {
    UpwindAdvection{points, -cfl, channels}.forward(samples, g, du);
  }
};

}  // namespace fieldstep::train
