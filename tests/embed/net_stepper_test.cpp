#include <fieldstep/embed/net_stepper.hpp>
#include <fieldstep/models/conv_net.hpp>
#include <fieldstep/train/stepper.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

/// Upwind differences are this convolution: next[i] = w0 u[i] + w1 u[i + 1].
struct Upwind : models::LinearConv {
  static constexpr int kernel = 2;
};
using Stepper = embed::NetStepper<models::ConvNet<Upwind, Shape<3>, double>, Exec>;
static_assert(train::Stepper<Stepper>);

}  // namespace

TEST_CASE("NetStepper: a step and its gradients by hand", "[embed][net_stepper]") {
  Stepper stepper(2);
  CHECK(Stepper::state_size() == 3);
  CHECK(stepper.largest_batch() == 2);
  stepper.weights()[0] = .25, stepper.weights()[1] = .75;
  stepper.weights_changed();
  const Numbers u{1, 2, 4, 0, 1, 0}, g{1, 0, 0, 0, 0, 2};
  Numbers next(6), tape(stepper.tape_size()), du(6);
  stepper.forward(2, u.data(), next.data(), tape.data());
  CHECK(next == Numbers{1.75, 3.5, 1.75, .75, .25, 0});
  stepper.backward(2, u.data(), tape.data(), g.data(), du.data());
  CHECK(du == Numbers{.25, .75, 0, 1.5, 0, .5});
  CHECK(stepper.gradient()[0] == 1);
  CHECK(stepper.gradient()[1] == 2);
  stepper.backward(2, u.data(), tape.data(), g.data(), nullptr);
  CHECK(stepper.gradient()[1] == 4);
  stepper.clear_gradient();
  CHECK(stepper.gradient()[1] == 0);
}
