// A block of one's own in a training: the flux of a conservation law, learned from its trajectories.
//   u_i' = u_i - (F(u_i, u_{i+1}) - F(u_{i-1}, u_i)),   F(l, r) = c_0 l + c_1 r + c_2 l^2 + c_3 l r + c_4 r^2
// Whatever the coefficients are, the sum of u stays what it is. The trajectories are Burgers' equation with an upwind
// flux, F = k l^2 / 2, which the training has to find. What makes FluxStep a train::Stepper is all here.
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/init.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/train/callbacks/loss_history.hpp>
#include <fieldstep/train/general_trainer.hpp>
#include <fieldstep/train/optimizer/adam.hpp>
#include <fieldstep/train/schedule.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <vector>

using namespace fieldstep;

/// The parameters: a struct whose members have names, shapes and laws of initialisation. Weights, gradient and the
/// optimizer's moments are flat arenas of the layout that follows.
template <class R>
struct FluxParams {
  Tensor<R, 5> coefficients{nullptr};
  using hana_accessors_impl = Fields<Field<"coefficients", &FluxParams::coefficients, init_constant(.1)>>;
};

template <int N>
class FluxStep {
 public:
  using Real = double;
  static constexpr auto params = make_param_table<FluxParams<Real>>();

  explicit FluxStep(int largest_batch)
      : largest_batch_(largest_batch),
        weights_(arena_count<FluxParams<Real>>()),
        gradient_(weights_.size()),
        w_(bind<FluxParams<Real>>(weights_.data())),
        dw_(bind<FluxParams<Real>>(gradient_.data())) {
    initialise(params, weights_.data(), Key{});
    clear_gradient();
  }

  std::size_t state_size() const { return N; }
  int largest_batch() const { return largest_batch_; }
  std::size_t tape_size() const { return 0; }  // backward needs nothing but the state
  ParamTable table() const { return params; }
  Real* weights() { return weights_.data(); }
  Real* gradient() { return gradient_.data(); }
  void clear_gradient() { std::fill_n(gradient_.data(), gradient_.size(), 0.); }
  void weights_changed() {}

  void forward(int samples, const Real* u, Real* next) const {
    for (int s = 0; s < samples; ++s, u += N, next += N)
      for (int i = 0; i < N; ++i) next[i] = u[i] - flux(u[i], u[right(i)]) + flux(u[left(i)], u[i]);
  }
  void forward(int samples, const Real* u, Real* next, Real*) const { forward(samples, u, next); }

  void backward(int samples, const Real* u, Real*, const Real* g, Real* du) const {
    for (int s = 0; s < samples; ++s, u += N, g += N) {
      if (du) std::copy_n(g, N, du);
      for (int i = 0; i < N; ++i) {  // the face between i and its right neighbour
        const Real l = u[i], r = u[right(i)], dflux = g[right(i)] - g[i];
        const auto& c = w_.coefficients;
        const Real slopes[] = {l, r, l * l, l * r, r * r};
        for (int k = 0; k < 5; ++k) dw_.coefficients(k) += dflux * slopes[k];
        if (du) {
          du[i] += dflux * (c(0) + 2 * c(2) * l + c(3) * r);
          du[right(i)] += dflux * (c(1) + c(3) * l + 2 * c(4) * r);
        }
      }
      if (du) du += N;
    }
  }

 private:
  static int left(int i) { return i == 0 ? N - 1 : i - 1; }
  static int right(int i) { return i == N - 1 ? 0 : i + 1; }
  Real flux(Real l, Real r) const {
    const auto& c = w_.coefficients;
    return c(0) * l + c(1) * r + c(2) * l * l + c(3) * l * r + c(4) * r * r;
  }

  int largest_batch_;
  Arena<Real> weights_, gradient_;
  FluxParams<Real> w_, dw_;
};

/// (trajectories, frames, N): waves of different heights and phases, which steepen.
template <int N>
std::vector<double> burgers(int trajectories, int frames, double k) {
  std::vector<double> all;
  for (int s = 0; s < trajectories; ++s) {
    std::array<double, N> u;
    for (int i = 0; i < N; ++i)
      u[static_cast<std::size_t>(i)] = 1 + .1 * (s + 1) * std::sin(2 * std::numbers::pi * i / N + s);
    for (int t = 0; t < frames; ++t) {
      all.insert(all.end(), u.begin(), u.end());
      const std::array<double, N> old = u;
      for (std::size_t i = 0; i < N; ++i) {
        const double l = old[i == 0 ? N - 1 : i - 1];
        u[i] = old[i] - k / 2 * (old[i] * old[i] - l * l);
      }
    }
  }
  return all;
}

int main() {
  const Kokkos::ScopeGuard kokkos(Kokkos::InitializationSettings().set_disable_warnings(true));
  constexpr int points = 32, trajectories = 8, frames = 30;
  constexpr double k = .4;
  const std::vector<double> data = burgers<points>(trajectories, frames, k);

  FluxStep<points> stepper(32);
  train::GeneralTrainer trainer(stepper, train::Trajectories<double>{data.data(), trajectories, frames, points},
                                train::Supervised<>{.rollout = 3},
                                train::Adam<train::CosineDecay>{.schedule = {.init = .02, .steps = 3000}},
                                train::TrainingOptions{.updates = 3000, .batch_size = 32, .key = make_key(1)});
  const double before = trainer.full_loss();
  trainer.run();

  const double* c = stepper.weights();
  std::printf("loss on all windows: %.2e -> %.2e\n", before, trainer.full_loss());
  std::printf("F(l, r) = %.4f l + %.4f r + %.4f l^2 + %.4f l r + %.4f r^2, made with F = %.4f l^2\n", c[0], c[1], c[2],
              c[3], c[4], k / 2);
  return std::abs(c[2] - k / 2) < .01 ? 0 : 1;
}
