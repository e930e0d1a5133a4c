// expect: stepper.backward(samples, u, to, u, to)
#include <fieldstep/train/rollout.hpp>
#include <support/trainax_steppers.hpp>

struct Forward : fieldstep::support::GoldenStepper<double> {
  void backward() = delete;
};

using Rollout = fieldstep::train::Rollout<Forward>;
