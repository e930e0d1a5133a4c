#pragma once
#include <fieldstep/train/reference/periodic_rows.hpp>

#include <cstddef>

// Burgers' equation u_t + u u_x = 0 on a periodic line for u > 0; number = dt / spacing. State (1, points).
namespace fieldstep::train {

namespace detail {

/// u_i (u_i - u_{i-1}) and its adjoint at u: g_i (2 u_i - u_{i-1}) - g_{i+1} u_{i+1}.
struct UpwindSteepening {
  PeriodicRows rows;

  template <class Real>
  Real operator()(const Real* u, int i) const {
    return u[i] * (u[i] - u[rows.left(i)]);
  }
  template <class Real>
  Real adjoint(const Real* u, const Real* g, int i) const {
    return g[i] * (2 * u[i] - u[rows.left(i)]) - g[rows.right(i)] * u[rows.right(i)];
  }
};

}  // namespace detail

/// Explicit Euler with upwind differences: u_i - number u_i (u_i - u_{i-1}).
struct UpwindBurgers {
  int points;
  double number;

  template <class Real>
  void forward(int samples, const Real* u, Real* next) const {
    const detail::UpwindSteepening steepen{{points}};
    steepen.rows.for_each(samples, [&](auto at) {
      for (int i = 0; i < points; ++i) next[at + i] = u[at + i] - static_cast<Real>(number) * steepen(u + at, i);
    });
  }
  template <class Real>
  void vjp(int samples, const Real* u, const Real* g, Real* du) const {
    const detail::UpwindSteepening steepen{{points}};
    steepen.rows.for_each(samples, [&](auto at) {
      for (int i = 0; i < points; ++i)
        du[at + i] = g[at + i] - static_cast<Real>(number) * steepen.adjoint(u + at, g + at, i);
    });
  }
};

/// What the Crank-Nicolson rule leaves unbalanced: next - prev + number / 2 (f(next) + f(prev)), f(u)_i = u_i (u_i -
/// u_{i-1}).
struct CrankNicolsonBurgersResiduum {
  int points;
  double number;

  template <class Real>
  void forward(int samples, const Real* next, const Real* prev, Real* r) const {
    const detail::UpwindSteepening steepen{{points}};
    const Real half = static_cast<Real>(number / 2);
    steepen.rows.for_each(samples, [&](auto at) {
      for (int i = 0; i < points; ++i)
        r[at + i] = next[at + i] - prev[at + i] + half * (steepen(next + at, i) + steepen(prev + at, i));
    });
  }
  template <class Real>
  void vjp(int samples, const Real* next, const Real* prev, const Real* g, Real* dnext, Real* dprev) const {
    const detail::UpwindSteepening steepen{{points}};
    const Real half = static_cast<Real>(number / 2);
    steepen.rows.for_each(samples, [&](auto at) {
      for (int i = 0; i < points; ++i) {
        if (dnext) dnext[at + i] = g[at + i] + half * steepen.adjoint(next + at, g + at, i);
        if (dprev) dprev[at + i] = -g[at + i] + half * steepen.adjoint(prev + at, g + at, i);
      }
    });
  }
};

}  // namespace fieldstep::train
