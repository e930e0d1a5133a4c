#include <fieldstep/blocks/conv_layer.hpp>
#include <support/allocations.hpp>
#include <support/convolution.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using ops::Padding;

namespace {

/// The layer's passes from fields to fields, all memory beginning as NaN.
template <bool InVectors, bool OutVectors, class Real, class Points, int Kernel, Padding rule, int In, int Out>
Arena<Real> layer(const Convolution<Real, Points, Kernel, rule, In, Out>& c, const Exec& exec) {
  using Layer = blocks::ConvLayer<Real, Points, Kernel, rule, In, InVectors, Out, OutVectors>;
  constexpr int samples = c.samples;
  const auto take = [](Carver<Real>& from, auto& prepared, Real*& x, Real*& dy, Real*& sums, Real*& around) {
    prepared = Layer::take_prepared(from);
    x = from.take(samples * Layer::X::size), dy = from.take(samples * Layer::Dy::size);
    sums = from.take(Layer::gradient_size(samples)), around = from.take(Layer::transposed_size(samples));
  };
  typename Layer::Prepared prepared;
  Real *x, *dy, *sums, *around;
  Carver<Real> count;
  take(count, prepared, x, dy, sums, around);
  const auto memory = constant<Real>(count.taken());
  Carver<Real> from(memory.data());
  take(from, prepared, x, dy, sums, around);

  const typename Convolution<Real, Points, Kernel, rule, In, Out>::Results r;
  using Frame = typename Layer::X::Frame;
  const AllocationCounter counter;
  Layer::prepare({c.weight.data(), c.bias.data()}, prepared);
  ops::frame_field<typename Layer::X>(exec, samples, static_cast<const Real*>(c.x.data()), x);
  Layer::forward(exec, samples, prepared, x, ops::FieldTarget<Frame, Out, Real>{r.y, prepared.bias});
  ops::frame_field<typename Layer::Dy>(exec, samples, static_cast<const Real*>(c.dy.data()), dy);
  Layer::add_gradient(exec, samples, x, dy, {r.dweight, r.dbias}, sums);
  Layer::transposed(exec, samples, prepared, dy, ops::FieldTarget<Frame, In, Real>{r.dx}, around);
  const auto allocations = counter.allocations();
  CHECK(allocations == 0);
  return r.all;
}

template <bool InVectors, bool OutVectors, class Points, int Kernel, Padding rule, int In, int Out>
void check() {
  INFO("kernel " << Kernel << ", " << In << " -> " << Out << " channels, padding " << static_cast<int>(rule));
  const Convolution<double, Points, Kernel, rule, In, Out> wide;
  const Numbers exact = wide.exact();
  CHECK(relative_l2(in_double(layer<InVectors, OutVectors>(wide, Exec())), exact) < rounding<double>);
  const Convolution<float, Points, Kernel, rule, In, Out> single;
  const auto result = layer<InVectors, OutVectors>(single, Exec());
  CHECK(relative_l2(in_double(result), exact) < rounding<float>);
  CHECK(same_bits(result, layer<InVectors, OutVectors>(single, one_thread())));
}

}  // namespace

// Layers into a network, within and out of it; channels that fill vectors, and that do not; images smaller than the
// kernel, and of more lines than are summed together.
TEST_CASE("ConvLayer: passes on lines agree with their sums; equal bits for any threads",
          "[blocks][conv_layer][property]") {
  check<false, true, Shape<19>, 2, Padding::periodic, 2, 32>();
  check<true, true, Shape<300>, 3, Padding::zero, 16, 20>();
  check<true, false, Shape<19>, 4, Padding::replicate, 32, 1>();
  check<true, true, Shape<3>, 5, Padding::replicate, 6, 16>();
}

TEST_CASE("ConvLayer: passes on planes agree with their sums; equal bits for any threads",
          "[blocks][conv_layer][property]") {
  check<false, true, Shape<6, 14>, 3, Padding::periodic, 1, 32>();
  check<true, true, Shape<6, 14>, 3, Padding::periodic, 32, 32>();
  check<true, false, Shape<6, 14>, 3, Padding::periodic, 32, 1>();
  check<true, true, Shape<6, 14>, 2, Padding::zero, 5, 48>();
  check<true, false, Shape<5, 9>, 4, Padding::zero, 7, 3>();
  check<false, true, Shape<5, 9>, 5, Padding::replicate, 1, 9>();
  check<true, true, Shape<5, 9>, 2, Padding::replicate, 6, 16>();
  check<true, true, Shape<5, 9>, 1, Padding::periodic, 12, 7>();
  check<true, true, Shape<2, 3>, 5, Padding::periodic, 16, 16>();
  check<true, true, Shape<70, 33>, 3, Padding::periodic, 16, 16>();
}

TEST_CASE("ConvLayer: passes in space agree with their sums; equal bits for any threads",
          "[blocks][conv_layer][property]") {
  check<false, true, Shape<3, 4, 5>, 3, Padding::periodic, 1, 16>();
  check<true, true, Shape<3, 4, 5>, 2, Padding::replicate, 6, 16>();
  check<true, false, Shape<3, 4, 5>, 4, Padding::zero, 16, 2>();
}
