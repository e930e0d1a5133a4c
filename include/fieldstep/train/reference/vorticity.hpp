#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/small_dense.hpp>
#include <fieldstep/train/reference/runge_kutta.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace fieldstep::train {

/// Incompressible flow in a periodic square of side 2 pi, by its vorticity: state (1, N, N), y then x.
///   w_t = J(psi, w) + viscosity Laplacian(w),  -Laplacian(psi) = w,  u = psi_y, v = -psi_x
/// Finite differences of second order with Arakawa's Jacobian, which conserves energy and enstrophy, and Runge-Kutta
/// steps of dt, `substeps` of them a step. That Jacobian is cyclic, sum a J(b, c) = sum b J(c, a), and the solution of
/// Poisson's equation symmetric: of them the adjoint is made.
/// Source: Arakawa 1966, J. Comput. Phys. 1, 119.
template <int N, class Real_ = float, class Exec = Kokkos::DefaultHostExecutionSpace>
class VorticityFlow {
 public:
  using Real = Real_;
  static constexpr std::size_t size = std::size_t{N} * N;
  struct Options {
    double viscosity = 1e-3, dt = .02;
    int substeps = 10;
  };

  /// Memory for `batch` samples.
  VorticityFlow(int batch, const Options& options, const Exec& exec = {})
      : options_(options),
        exec_(exec),
        batch_(batch),
        basis_(size),
        transposed_(size),
        inverse_(size),
        memory_(static_cast<std::size_t>(batch) * per_sample(options.substeps)) {
    // Real Fourier modes: orthonormal, eigenvectors of differences along a periodic line.
    for (int k = 0; k < N; ++k)
      for (int j = 0; j < N; ++j) {
        const double phase = 2 * std::numbers::pi * j * ((k + 1) / 2) / N;
        const bool plain = k == 0 || 2 * ((k + 1) / 2) == N;
        basis_.data()[k * N + j] = static_cast<Real>(std::sqrt((plain ? 1. : 2.) / N) * (k % 2 == 1 ? std::cos(phase)
                                                                                         : k == 0   ? 1
                                                                                                    : std::sin(phase)));
      }
    for (int k = 0; k < N; ++k)
      for (int j = 0; j < N; ++j) transposed_.data()[j * N + k] = basis_.data()[k * N + j];
    const auto eigenvalue = [](int k) {
      return (2 - 2 * std::cos(2 * std::numbers::pi * ((k + 1) / 2) / N)) / (spacing * spacing);
    };
    for (int k = 0; k < N; ++k)
      for (int l = 0; l < N; ++l)
        inverse_.data()[k * N + l] = static_cast<Real>(k + l == 0 ? 0 : 1 / (eigenvalue(k) + eigenvalue(l)));
  }

  void forward(int samples, const Real* w, Real* next) {
    check(samples);
    for_ranges(exec_, samples, [=, this](int begin, int end) {
      for (int s = begin; s < end; ++s) {
        const Workspace own(*this, s);
        Real* to = next + at(s) * size;
        std::copy_n(w + at(s) * size, size, to);
        for (int i = 0; i < options_.substeps; ++i)
          runge_kutta_step(size, static_cast<Real>(options_.dt), static_cast<const Real*>(to), to, own.stages,
                           slope(own));
      }
    });
  }

  /// The velocity of the flow, (samples, 2, N, N): u along x, then v along y, by central differences of psi.
  void velocity(int samples, const Real* w, Real* uv) {
    check(samples);
    for_ranges(exec_, samples, [=, this](int begin, int end) {
      const Real half = static_cast<Real>(.5 / spacing);
      for (int s = begin; s < end; ++s) {
        const Workspace own(*this, s);
        solve(own, w + at(s) * size, own.psi);
        Real *u = uv + at(s) * 2 * size, *v = u + size;
        for (int i = 0; i < N; ++i)
          for (int j = 0; j < N; ++j) {
            const auto psi = [&](int y, int x) { return own.psi[(y + N) % N * N + (x + N) % N]; };
            u[i * N + j] = half * (psi(i + 1, j) - psi(i - 1, j));
            v[i * N + j] = -half * (psi(i, j + 1) - psi(i, j - 1));
          }
      }
    });
  }

  /// du = (d next / d w)^T g, with the substeps' states computed once more.
  void vjp(int samples, const Real* w, const Real* g, Real* dw) {
    check(samples);
    for_ranges(exec_, samples, [=, this](int begin, int end) {
      for (int s = begin; s < end; ++s) {
        const Workspace own(*this, s);
        std::copy_n(w + at(s) * size, size, own.states);
        for (int i = 0; i + 1 < options_.substeps; ++i)
          runge_kutta_step(size, static_cast<Real>(options_.dt), static_cast<const Real*>(own.states + at(i) * size),
                           own.states + at(i + 1) * size, own.stages, slope(own));
        Real* to = dw + at(s) * size;
        std::copy_n(g + at(s) * size, size, to);
        for (int i = options_.substeps; i-- > 0;)
          runge_kutta_vjp(size, static_cast<Real>(options_.dt), static_cast<const Real*>(own.states + at(i) * size),
                          static_cast<const Real*>(to), to, own.stages, slope(own), slope_adjoint(own));
      }
    });
  }

 private:
  static constexpr double spacing = 2 * std::numbers::pi / N;
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  static std::size_t per_sample(int substeps) {
    return (RungeKuttaMemory<Real>::arrays + 4 + static_cast<std::size_t>(substeps)) * size;
  }

  struct Workspace {
    Real *psi, *product, *transformed, *other, *states;
    RungeKuttaMemory<Real> stages;
    Workspace(const VorticityFlow& flow, int sample)
        : psi(flow.memory_.data() + at(sample) * per_sample(flow.options_.substeps)),
          product(psi + size),
          transformed(product + size),
          other(transformed + size),
          states(other + size),
          stages(size, states + at(flow.options_.substeps) * size) {}
  };

  void check(int samples) const {
    if (samples > batch_) fail_usage("VorticityFlow: found ", samples, " samples, made for ", batch_);
  }

  /// k = J(psi(w), w) + viscosity Laplacian(w)
  auto slope(const Workspace& own) const {
    return [this, own](const Real* w, Real* k) {
      solve(own, w, own.psi);
      jacobian(own.psi, w, k);
      add_diffusion(w, k);
    };
  }
  /// to = J(g, psi) + Poisson(J(w, g)) + viscosity Laplacian(g)
  auto slope_adjoint(const Workspace& own) const {
    return [this, own](const Real* w, const Real* g, Real* to) {
      solve(own, w, own.psi);
      jacobian(w, g, own.other);
      solve(own, own.other, to);
      jacobian(g, own.psi, own.other);
      for (std::size_t i = 0; i < size; ++i) to[i] += own.other[i];
      add_diffusion(g, to);
    };
  }

  /// k += viscosity Laplacian(w)
  void add_diffusion(const Real* w, Real* k) const {
    const Real factor = static_cast<Real>(options_.viscosity / (spacing * spacing));
    for (int i = 0; i < N; ++i) {
      const Real *mid = w + i * N, *up = w + (i == 0 ? N - 1 : i - 1) * N, *down = w + (i == N - 1 ? 0 : i + 1) * N;
      Real* to = k + i * N;
      const auto point = [&](int j, int left, int right) {
        to[j] += factor * (up[j] + down[j] + mid[left] + mid[right] - 4 * mid[j]);
      };
      point(0, N - 1, 1);
      for (int j = 1; j < N - 1; ++j) point(j, j - 1, j + 1);
      point(N - 1, N - 2, 0);
    }
  }

  /// Arakawa's J(a, b) = a_x b_y - a_y b_x, the mean of three forms of it.
  static void jacobian(const Real* a, const Real* b, Real* to) {
    constexpr Real factor = static_cast<Real>(1 / (12 * spacing * spacing));
    for (int i = 0; i < N; ++i) {
      const int above = (i == 0 ? N - 1 : i - 1) * N, below = (i == N - 1 ? 0 : i + 1) * N;
      const Real *am = a + i * N, *au = a + above, *ad = a + below, *bm = b + i * N, *bu = b + above, *bd = b + below;
      const auto point = [&](int j, int l, int r) {
        const Real plain = (am[r] - am[l]) * (bd[j] - bu[j]) - (ad[j] - au[j]) * (bm[r] - bm[l]);
        const Real first =
            am[r] * (bd[r] - bu[r]) - am[l] * (bd[l] - bu[l]) - ad[j] * (bd[r] - bd[l]) + au[j] * (bu[r] - bu[l]);
        const Real second =
            bd[j] * (ad[r] - ad[l]) - bu[j] * (au[r] - au[l]) - bm[r] * (ad[r] - au[r]) + bm[l] * (ad[l] - au[l]);
        to[i * N + j] = factor * (plain + first + second);
      };
      point(0, N - 1, 1);
      for (int j = 1; j < N - 1; ++j) point(j, j - 1, j + 1);
      point(N - 1, N - 2, 0);
    }
  }

  /// -Laplacian(psi) = w without w's mean: to real Fourier modes along both axes, divided, and back.
  void solve(const Workspace& own, const Real* w, Real* psi) const {
    const Real *B = basis_.data(), *T = transposed_.data();
    multiply(B, w, own.product);
    multiply(own.product, T, own.transformed);
    for (std::size_t i = 0; i < size; ++i) own.transformed[i] *= inverse_.data()[i];
    multiply(own.transformed, B, own.product);
    multiply(T, own.product, psi);
  }

  /// to = x y
  static void multiply(const Real* x, const Real* y, Real* to) {
    for (int i = 0; i < N; ++i)
      ops::row_times_matrix<N, N>(x + i * N, y, static_cast<const Real*>(nullptr), to + i * N);
  }

  Options options_;
  Exec exec_;
  int batch_;
  Arena<Real> basis_, transposed_, inverse_, memory_;
};

}  // namespace fieldstep::train
