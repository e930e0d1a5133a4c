// expect: Rollout: this configuration minimises a residuum, wanted a ResiduumFunction as third argument
// expect: residuum.vjp(samples, state, state, state, to, to)
#include <fieldstep/train/configuration/residuum.hpp>
#include <fieldstep/train/rollout.hpp>
#include <support/trainax_steppers.hpp>

struct NoAdjoint {
  void forward(int samples, const double* next, const double* prev, double* r);
};

double value(fieldstep::support::GoldenStepper<double>& stepper, NoAdjoint& equation,
             const fieldstep::train::Windows<double>& windows) {
  const fieldstep::train::Residuum<> configuration;
  fieldstep::train::NoReference* none = nullptr;
  return fieldstep::train::Rollout(stepper, none, &equation, configuration.length()).value(configuration, windows);
}
