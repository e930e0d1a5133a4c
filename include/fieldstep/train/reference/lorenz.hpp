#pragma once
#include <fieldstep/train/reference/runge_kutta.hpp>
#include <fieldstep/train/sample_data.hpp>

namespace fieldstep::train {

/// A Runge-Kutta step of the Lorenz system as a reference stepper: state (3).
struct LorenzReference {
  LorenzStep step{};

  template <class Real>
  void forward(int samples, const Real* u, Real* next) const {
    Real memory[3 * RungeKuttaMemory<Real>::arrays];
    for (int s = 0; s < samples; ++s)
      runge_kutta_step(3, static_cast<Real>(step.dt), u + 3 * s, next + 3 * s, RungeKuttaMemory<Real>(3, memory),
                       slope<Real>());
  }
  template <class Real>
  void vjp(int samples, const Real* u, const Real* g, Real* du) const {
    Real memory[3 * RungeKuttaMemory<Real>::arrays];
    const auto sigma = static_cast<Real>(step.sigma), rho = static_cast<Real>(step.rho),
               beta = static_cast<Real>(step.beta);
    for (int s = 0; s < samples; ++s)
      runge_kutta_vjp(3, static_cast<Real>(step.dt), u + 3 * s, g + 3 * s, du + 3 * s,
                      RungeKuttaMemory<Real>(3, memory), slope<Real>(), [=](const Real* v, const Real* h, Real* to) {
                        to[0] = -sigma * h[0] + (rho - v[2]) * h[1] + v[1] * h[2];
                        to[1] = sigma * h[0] - h[1] + v[0] * h[2];
                        to[2] = -v[0] * h[1] - beta * h[2];
                      });
  }

 private:
  template <class Real>
  auto slope() const {
    return [sigma = static_cast<Real>(step.sigma), rho = static_cast<Real>(step.rho),
            beta = static_cast<Real>(step.beta)](const Real* v, Real* k) {
      k[0] = sigma * (v[1] - v[0]), k[1] = v[0] * (rho - v[2]) - v[1], k[2] = v[0] * v[1] - beta * v[2];
    };
  }
};

}  // namespace fieldstep::train
