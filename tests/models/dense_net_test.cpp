#include <fieldstep/models/dense_net.hpp>
#include <support/stepper_gradient.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using models::DenseNet;

namespace {

struct Deep : models::DenseNetDefaults {
  static constexpr int channels = 2, width = 20;
};
template <class Real>
using DeepRelu = DenseNet<Deep, Shape<3, 4>, Real>;

struct Shallow : Deep {
  static constexpr int width = 13, depth = 1;
  using Activation = ops::Tanh;
};
template <class Real>
using ShallowTanh = DenseNet<Shallow, Shape<7>, Real>;

struct Kept : Deep {
  static constexpr int depth = 4;
  using Activation = ops::Gelu;
};
template <class Real>
using KeptGelu = DenseNet<Kept, Shape<5>, Real>;

}  // namespace

TEST_CASE("DenseNet: gradients, bits", "[models][dense_net][gradient]") {
  check_stepper<DeepRelu>(1e-6, 1e-7);
  check_stepper<ShallowTanh>();
  check_stepper<KeptGelu>();
}

TEST_CASE("DenseNet: parameters are named and shaped as Equinox' MLP", "[models][dense_net]") {
  const ParamTable table = DenseNet<Deep, Shape<3, 4>>::table();
  REQUIRE(table.size() == 8);
  CHECK(table[0].path.view() == "layers.0.weight");
  CHECK(table[7].path.view() == "layers.3.bias");
  CHECK(std::vector(table[0].shape().begin(), table[0].shape().end()) == std::vector{20, 24});
  CHECK(std::vector(table[6].shape().begin(), table[6].shape().end()) == std::vector{24, 20});
}
