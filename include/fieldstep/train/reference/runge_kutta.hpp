#pragma once
#include <algorithm>
#include <cstddef>

namespace fieldstep::train {

/// Memory of a step of the classical Runge-Kutta method on `size` numbers: states and slopes of its stages.
template <class Real>
struct RungeKuttaMemory {
  Real *stage[4], *slope[4], *cotangent, *sum;
  static constexpr std::size_t arrays = 10;

  RungeKuttaMemory(std::size_t size, Real* memory) {
    for (int s = 0; s < 4; ++s) stage[s] = memory + static_cast<std::size_t>(2 * s) * size, slope[s] = stage[s] + size;
    cotangent = memory + 8 * size, sum = cotangent + size;
  }
};

/// next = u + h/6 (k_1 + 2 k_2 + 2 k_3 + k_4) with k_s = rhs(stage s); rhs(u, k) writes k. The stages stay in memory.
template <class Real>
void runge_kutta_step(std::size_t size, Real h, const Real* u, Real* next, const RungeKuttaMemory<Real>& memory,
                      const auto& rhs) {
  const Real ahead[] = {0, h / 2, h / 2, h};
  for (int s = 0; s < 4; ++s) {
    for (std::size_t i = 0; i < size; ++i)
      memory.stage[s][i] = s == 0 ? u[i] : u[i] + ahead[s] * memory.slope[s - 1][i];
    rhs(memory.stage[s], memory.slope[s]);
  }
  const Real *k1 = memory.slope[0], *k2 = memory.slope[1], *k3 = memory.slope[2], *k4 = memory.slope[3];
  for (std::size_t i = 0; i < size; ++i) next[i] = u[i] + h / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
}

/// The step's adjoint at u: du = (d next / d u)^T g, the stages in reverse. adjoint(u, g, du) writes rhs'(u)^T g. du
/// may be g.
template <class Real>
void runge_kutta_vjp(std::size_t size, Real h, const Real* u, const Real* g, Real* du,
                     const RungeKuttaMemory<Real>& memory, const auto& rhs, const auto& adjoint) {
  runge_kutta_step(size, h, u, memory.sum, memory, rhs);
  const Real ahead[] = {0, h / 2, h / 2, h}, weight[] = {h / 6, h / 3, h / 3, h / 6};
  std::copy_n(g, size, memory.sum);
  Real* of_stage = memory.slope[3];  // slopes are used up from the last on
  for (int s = 3; s >= 0; --s) {
    // Cotangent of slope s: its share of the sum, and of the stage after it.
    for (std::size_t i = 0; i < size; ++i)
      memory.cotangent[i] = weight[s] * g[i] + (s == 3 ? Real(0) : ahead[s + 1] * of_stage[i]);
    adjoint(memory.stage[s], memory.cotangent, of_stage);
    for (std::size_t i = 0; i < size; ++i) memory.sum[i] += of_stage[i];
  }
  std::copy_n(memory.sum, size, du);
}

}  // namespace fieldstep::train
