// trainax' quickstart: a stencil of two numbers learns to advect a wave, better the longer it is rolled out in
// training. The distance to the first-order upwind stencil, [1/4, 3/4], for rollouts of 1, 5 and 20 steps: 0.033,
// 0.025, 0.017.
#include <fieldstep/embed/net_stepper.hpp>
#include <fieldstep/models/conv_net.hpp>
#include <fieldstep/train/general_trainer.hpp>
#include <fieldstep/train/optimizer/adam.hpp>
#include <fieldstep/train/sample_data.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <vector>

using namespace fieldstep;

struct Stencil : models::LinearConv {  // one channel, periodic, no bias
  static constexpr int kernel = 2;     // out[i] = w_0 u[i] + w_1 u[i+1]
};
constexpr int points = 30;
using Net = models::ConvNet<Stencil, Shape<points>, float>;

int main() {
  const Kokkos::ScopeGuard kokkos(Kokkos::InitializationSettings().set_disable_warnings(true));
  constexpr double cfl = -.75;
  constexpr auto layout = RandomLayout::legacy;  // of the numbers above; jax' own draws differ since its version 0.5
  const std::vector<float> data =
      train::advection_1d_periodic<float>({.num_points = points, .cfl = cfl}, make_key(0), layout);
  const train::Trajectories<float> trajectories{data.data(), 20, 100, points};

  bool learned = true;
  for (const int rollout : {1, 5, 20}) {
    const auto start = std::chrono::steady_clock::now();
    embed::NetStepper<Net> stepper(32);
    initialise_layer_equinox(Net::table(), 0, stepper.weights(), make_key(73), layout);
    train::GeneralTrainer trainer(
        stepper, trajectories, train::Supervised<>{.rollout = rollout}, train::Adam<>{.schedule = {1e-2}},
        train::TrainingOptions{.updates = 1000, .batch_size = 32, .key = make_key(42), .layout = layout});
    trainer.run();
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    const double w0 = stepper.weights()[0], w1 = stepper.weights()[1];
    const double distance = std::hypot(w0 - (1 + cfl), w1 + cfl);
    std::printf("rollout %2d: stencil [%.6f, %.6f], distance to upwind %.3f, %.1f ms\n", rollout, w0, w1, distance,
                time.count());
    learned = learned && std::abs(distance - (rollout == 1 ? .033 : rollout == 5 ? .025 : .017)) < 5e-4;
  }
  return learned ? 0 : 1;
}
