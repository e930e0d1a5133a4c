// A network learns a time step from the equation alone: no solver makes data, the discretised equation says how wrong a
// step is. A linear convolution of 17 points learns an implicit Euler step of diffusion, whose inverse is a full
// matrix, from initial states and from what leaves (1 - number Laplacian) next = prev unbalanced along its own rollout.
#include <fieldstep/embed/net_stepper.hpp>
#include <fieldstep/models/conv_net.hpp>
#include <fieldstep/train/evaluation.hpp>
#include <fieldstep/train/general_trainer.hpp>
#include <fieldstep/train/optimizer/adam.hpp>
#include <fieldstep/train/reference/diffusion.hpp>
#include <fieldstep/train/sample_data.hpp>
#include <fieldstep/train/schedule.hpp>

#include <cstdio>
#include <vector>

using namespace fieldstep;

constexpr int points = 48, samples = 64, steps = 10;
constexpr double number = .6;  // diffusivity dt / spacing^2, more than an explicit step would bear

struct Step : models::LinearConv {
  static constexpr int kernel = 17;
};
using Net = models::ConvNet<Step, Shape<points>, double>;

int main() {
  const Kokkos::ScopeGuard kokkos(Kokkos::InitializationSettings().set_disable_warnings(true));
  // One frame each is enough: what follows is the network's own.
  const auto states = [](std::uint64_t seed) {
    return train::advection_1d_periodic<double>(
        {.num_points = points, .num_samples = samples, .highest_init_mode = 12, .temporal_horizon = 1}, make_key(seed));
  };
  const std::vector<double> initial = states(1), held = states(2);

  embed::NetStepper<Net> stepper(samples);
  Net::initialise(stepper.weights(), make_key(3));
  train::ImplicitDiffusionResiduum equation{points, number};
  train::NoReference* none = nullptr;
  train::GeneralTrainer trainer(
      stepper, train::Trajectories<double>{initial.data(), samples, 1, points}, train::Residuum<>{.rollout = 5},
      train::Adam<train::CosineDecay>{.schedule = {.init = 1e-2, .steps = 6000}},
      train::TrainingOptions{.updates = 6000, .batch_size = 32, .key = make_key(4), .window = 1}, none, &equation);
  const double before = trainer.full_loss();
  trainer.run();

  // Beside the solver, which the training never saw.
  std::vector<double> forecast(steps * initial.size()), truth(forecast.size());
  train::roll_out(stepper, samples, held.data(), steps, forecast.data());
  const train::ImplicitDiffusion solver(points, number);
  for (std::size_t t = 0; t < steps; ++t)
    solver.forward(samples, t == 0 ? held.data() : truth.data() + (t - 1) * held.size(),
                   truth.data() + t * held.size());
  const std::vector<double> error = train::error_over_time(train::Metric("nRMSE"), {.channels = 1, .axes = {points}},
                                                           samples, steps, forecast.data(), truth.data());
  std::printf("residuum: %.2e -> %.2e\n", before, trainer.full_loss());
  std::printf("nRMSE against the solver after 1, %d steps: %.1e, %.1e\n", steps, error.front(), error.back());
  return error.back() < .02 ? 0 : 1;
}
