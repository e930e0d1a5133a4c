#pragma once
#include <fieldstep/train/rollout.hpp>
#include <support/numbers.hpp>
#include <support/trainax_steppers.hpp>

#include <string>
#include <vector>

namespace fieldstep::support {

/// A small stepper with drawn weights and trajectories for it.
struct RolloutScene {
  static constexpr int samples = 3, frames = 7, N = GoldenStepper<double>::N;

  GoldenStepper<double> stepper{samples, "tanh"};
  GoldenReference<double> reference = GoldenReference<double>::named("burgers");
  GoldenResiduum<double> residuum = GoldenResiduum<double>::named("cn_burgers");
  Arena<double> data = drawn<double>("rollout/data", samples* frames* N);
  train::Trajectories<double> trajectories{data.data(), samples, frames, N};
  train::Windows<double> windows{data.data(), frames, samples, N};  // the same numbers, read level by level

  RolloutScene() {
    for (const ParamEntry& entry : stepper.table())
      import_param(entry, synth("rollout/" + std::string(entry.path.view()), entry.size, 0, .5).data(),
                   stepper.weights());
  }

  struct Result {
    double value;
    Numbers gradient, initial;
    bool operator==(const Result&) const = default;
  };

  template <class C>
  Result evaluate(const C& configuration, Activations activations = Activations::keep) {
    configuration.check();
    train::Rollout rollout(stepper, &reference, &residuum, configuration.length(), activations);
    stepper.clear_gradient();
    Numbers initial(samples * N, 0.);
    const double value = rollout.add_gradient(configuration, windows, initial.data());
    return {value, gradient(), initial};
  }

  Numbers gradient() {
    Numbers all;
    for (const ParamEntry& entry : stepper.table())
      all.insert(all.end(), stepper.gradient() + entry.offset, stepper.gradient() + entry.offset + entry.size);
    return all;
  }
};

}  // namespace fieldstep::support
