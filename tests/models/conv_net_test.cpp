#include <fieldstep/models/conv_net.hpp>
#include <support/stepper_gradient.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace fieldstep;
using namespace fieldstep::support;
using models::ConvNet;
using models::ConvNetDefaults;

namespace {

struct Small : ConvNetDefaults {
  static constexpr int hidden = 6, layers = 3;
};
template <class Real>
using Periodic = ConvNet<Small, Shape<5, 7>, Real>;

struct TanhOfTwo : Small {
  static constexpr int channels = 2, kernel = 4, layers = 4;
  static constexpr ops::Padding padding = ops::Padding::replicate;
  static constexpr bool increment = true;
  using Activation = ops::Tanh;
};
template <class Real>
using Replicated = ConvNet<TanhOfTwo, Shape<9>, Real>;

struct GeluInSpace : Small {
  static constexpr int channels = 17, layers = 2;  // more than a vector
  static constexpr ops::Padding padding = ops::Padding::zero;
  static constexpr bool bias = false;
  using Activation = ops::Gelu;
};
template <class Real>
using Spatial = ConvNet<GeluInSpace, Shape<2, 3, 2>, Real>;

struct Same : Small {
  static constexpr int channels = 16, hidden = 16;  // layers of one type
  using Activation = ops::Tanh;
};
template <class Real>
using AllTheSame = ConvNet<Same, Shape<5>, Real>;

struct Deep : Small {
  static constexpr int layers = 5;
  using Activation = ops::Gelu;
};
template <class Real>
using DeepGelu = ConvNet<Deep, Shape<11>, Real>;

struct OneKernel : models::LinearConv {
  static constexpr int kernel = 2;
};
template <class Real>
using Linear = ConvNet<OneKernel, Shape<30>, Real>;

struct OneReplicated : OneKernel {
  static constexpr int channels = 2, kernel = 3;
  static constexpr ops::Padding padding = ops::Padding::replicate;
  static constexpr bool bias = true, increment = true;
};
template <class Real>
using LinearOfTwo = ConvNet<OneReplicated, Shape<4, 5>, Real>;

struct OneWide : OneKernel {
  static constexpr int channels = 16;
  static constexpr bool increment = true;
};
template <class Real>
using LinearOfMany = ConvNet<OneWide, Shape<6>, Real>;

}  // namespace

TEST_CASE("ConvNet: periodic, ReLU", "[models][conv_net][gradient]") { check_stepper<Periodic>(1e-6, 1e-7); }
TEST_CASE("ConvNet: replicated borders, an even kernel, tanh, two channels, an increment",
          "[models][conv_net][gradient]") {
  check_stepper<Replicated>();
}
TEST_CASE("ConvNet: three axes, zero borders, GELU, channels that fill vectors, no bias",
          "[models][conv_net][gradient]") {
  check_stepper<Spatial>();
}
TEST_CASE("ConvNet: slopes of more layers than memory alternates between", "[models][conv_net][gradient]") {
  check_stepper<DeepGelu>();
}
TEST_CASE("ConvNet: first, middle and last layers of one type", "[models][conv_net][gradient]") {
  check_stepper<AllTheSame>();
}
TEST_CASE("ConvNet: one layer", "[models][conv_net][gradient]") {
  check_stepper<Linear>();
  check_stepper<LinearOfTwo>();
  check_stepper<LinearOfMany>();
}

TEST_CASE("ConvNet: parameters are named and shaped as Equinox does", "[models][conv_net]") {
  const ParamTable table = ConvNet<TanhOfTwo, Shape<9, 8>>::table();
  REQUIRE(table.size() == 8);
  CHECK(table[0].path.view() == "layers.0.weight");
  CHECK(table[1].path.view() == "layers.0.bias");
  CHECK(table[6].path.view() == "layers.3.weight");
  const auto shape = [&](std::size_t i) { return std::vector(table[i].shape().begin(), table[i].shape().end()); };
  CHECK(shape(0) == std::vector{6, 2, 4, 4});
  CHECK(shape(1) == std::vector{6, 1, 1});
  CHECK(shape(6) == std::vector{2, 6, 4, 4});
  CHECK(param_count(ConvNet<ConvNetDefaults, Shape<64, 64>>::table()) == 28353);
  CHECK(ConvNet<OneKernel, Shape<30>>::table().size() == 1);
}
