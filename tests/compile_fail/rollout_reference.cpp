// expect: Rollout: this configuration compares with physics, wanted a ReferenceStepper as second argument
// expect: physics.forward(samples, u, to)
#include <fieldstep/train/configuration/diverted_chain.hpp>
#include <fieldstep/train/rollout.hpp>
#include <support/trainax_steppers.hpp>

struct NoSolver {
  void step(const double* u, double* next);
};

double value(fieldstep::support::GoldenStepper<double>& stepper, NoSolver& solver,
             const fieldstep::train::Windows<double>& windows) {
  const fieldstep::train::DivertedChain<> configuration;
  fieldstep::train::NoResiduum* none = nullptr;
  return fieldstep::train::Rollout(stepper, &solver, none, configuration.length()).value(configuration, windows);
}
