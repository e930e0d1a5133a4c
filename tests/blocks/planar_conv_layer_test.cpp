#include <fieldstep/blocks/planar_conv_layer.hpp>
#include <support/allocations.hpp>
#include <support/convolution.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using ops::Padding;

namespace {

template <class C, class Real>
Arena<Real> layer(const C& c, const Exec& exec, const Arena<Real>& residual, const Arena<Real>& residual_of_dx) {
  using Layer = blocks::PlanarConvLayer<Real, typename C::Points, C::Kernel, C::rule, C::In, C::Out>;
  const auto framed = constant<Real>(Layer::framed_size(C::samples)),
             scratch = constant<Real>(Layer::scratch_size(C::samples));
  const typename C::Results r;
  const AllocationCounter counter;
  const blocks::ConvPointers<const Real> weights{c.weight.data(), c.bias.data()};
  Layer::forward(exec, C::samples, weights, c.x.data(), residual.data(), r.y, framed.data());
  Layer::backward(exec, C::samples, weights, framed.data(), c.dy.data(), residual_of_dx.data(), r.dx,
                  {r.dweight, r.dbias}, scratch.data());
  const auto allocations = counter.allocations();
  CHECK(allocations == 0);
  return r.all;
}

template <class Points, int Kernel, Padding rule, int In, int Out>
void check() {
  INFO("kernel " << Kernel << ", " << In << " -> " << Out << " channels, padding " << static_cast<int>(rule));
  const Convolution<double, Points, Kernel, rule, In, Out> wide;
  Numbers exact = wide.exact();
  CHECK(relative_l2(in_double(layer(wide, Exec(), Arena<double>(), Arena<double>())), exact) < rounding<double>);
  const Convolution<float, Points, Kernel, rule, In, Out> single;
  const auto result = layer(single, Exec(), Arena<float>(), Arena<float>());
  CHECK(relative_l2(in_double(result), exact) < rounding<float>);
  CHECK(same_bits(result, layer(single, one_thread(), Arena<float>(), Arena<float>())));

  const auto x = drawn<double>("residual", single.x_size), y = drawn<double>("residual", single.y_size);
  for (std::size_t i = 0; i < y.size(); ++i) exact[i] += y.data()[i];
  for (std::size_t i = 0; i < x.size(); ++i) exact[y.size() + i] += x.data()[i];
  CHECK(relative_l2(in_double(layer(wide, Exec(), y, x)), exact) < rounding<double>);
}

}  // namespace

// Lines shorter than a vector, of whole ones, and with a rest; more of them than are summed together.
TEST_CASE("PlanarConvLayer: passes agree with their sums; equal bits for any threads",
          "[blocks][planar_conv_layer][property]") {
  check<Shape<30>, 2, Padding::periodic, 1, 1>();
  check<Shape<7>, 5, Padding::zero, 2, 1>();
  check<Shape<3000>, 3, Padding::replicate, 1, 3>();
  check<Shape<90, 64>, 4, Padding::periodic, 1, 1>();
  check<Shape<5, 32>, 3, Padding::zero, 2, 1>();
  check<Shape<4, 6>, 2, Padding::replicate, 1, 3>();
  check<Shape<3, 4, 5>, 3, Padding::periodic, 2, 2>();
  check<Shape<3, 4, 5>, 4, Padding::replicate, 2, 1>();
  check<Shape<9>, 1, Padding::zero, 3, 2>();
}
