#include <fieldstep/ops/layer_norm_backward.hpp>
#include <support/allocations.hpp>
#include <support/gradient.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 3;

/// Tokens, their norm with an affine a sample or one for all (step 0), and a gradient of it.
template <class Real, int Dim, int Positions>
struct Case {
  static constexpr std::size_t count = std::size_t{samples} * Positions * Dim, channels = std::size_t{samples} * Dim;
  int step = Dim;
  bool kept = true;
  Arena<Real> x = drawn<Real>("x", count, 3, 2), dy = drawn<Real>("dy", count), keep = drawn<Real>("keep", samples);
  Arena<Real> scale = drawn<Real>("scale", channels, 1, 1), shift = drawn<Real>("shift", channels);
  Arena<Real> scratch = constant<Real>(ops::layer_norm_backward_scratch_size<Dim>(samples, Positions));

  /// dx, dscale and dshift one after the other.
  template <class Source = ops::SameToken>
  Arena<Real> gradient(const Exec& exec, const Source& source = {}) const {
    return with(source, [&](auto&&... arguments) { ops::layer_norm_backward<Dim>(exec, arguments...); });
  }
  template <class Source = ops::SameToken>
  Arena<Real> naive(const Source& source = {}) const {
    return with(source,
                [exec = Exec()](auto&&... arguments) { ops::layer_norm_backward_naive<Dim>(exec, arguments...); });
  }

 private:
  template <class Source, class Backward>
  Arena<Real> with(const Source& source, const Backward& backward) const {
    const auto result = constant<Real>(count + 2 * channels);
    Real *dx = result.data(), *dscale = dx + count, *dshift = dscale + channels;
    const AllocationCounter counter;
    backward(samples, Positions, x.data(), ops::ChannelAffine<Real>{scale.data(), shift.data(), step}, 1e-5, dy.data(),
             dx, dscale, dshift, scratch.data(), kept ? keep.data() : nullptr, source);
    const auto allocations = counter.allocations();
    CHECK(allocations == 0);
    return result;
  }
};

}  // namespace

TEMPLATE_TEST_CASE_SIG("layer_norm backward, naive: agrees with central differences",
                       "[ops][layer_norm_backward][gradient]", ((int Dim, bool Shared), Dim, Shared), (2, false),
                       (5, true), (12, false)) {
  constexpr int positions = 3;
  using Norm = Case<double, Dim, positions>;
  const Norm c{.step = Shared ? 0 : Dim};
  Numbers at = in_double(c.x);
  for (const auto* affine : {&c.scale, &c.shift}) at.insert(at.end(), affine->data(), affine->data() + affine->size());
  const auto norm = [&](const Numbers& v) {
    const double *scale = v.data() + Norm::count, *shift = scale + Norm::channels;
    const auto y = constant<double>(Norm::count, 0);
    ops::add_layer_norm<Dim>(Exec(), samples, positions, static_cast<const double*>(y.data()), v.data(),
                             ops::ChannelAffine<double>{scale, shift, c.step}, 1e-5, y.data(),
                             static_cast<const double*>(c.keep.data()));
    return in_double(y);
  };
  Numbers gradient = in_double(c.naive());
  if (Shared)  // the caller's sum over samples
    for (std::size_t i = Norm::count; i < gradient.size(); ++i)
      if (const std::size_t channel = (i - Norm::count) % Norm::channels; channel >= Dim)
        gradient[i - channel + channel % Dim] += std::exchange(gradient[i], 0);
  CHECK(relative_l2(gradient, central_differences(norm, at, in_double(c.dy), 1e-4)) < 1e-10);
}

TEMPLATE_TEST_CASE_SIG("layer_norm backward: agrees with the naive version; equal bits for any threads",
                       "[ops][layer_norm_backward][property]", ((int Dim, int Positions), Dim, Positions), (2, 1),
                       (3, 5), (12, 33), (48, 64), (96, 100)) {
  for (const bool kept : {false, true})
    for (const int step : {0, Dim}) {
      const Case<double, Dim, Positions> wide{.step = step, .kept = kept};
      const Case<float, Dim, Positions> single{.step = step, .kept = kept};
      const auto exact = in_double(wide.naive());
      const auto gradient = single.gradient(Exec());
      CHECK(relative_l2(in_double(wide.gradient(Exec())), exact) < rounding<double>);
      CHECK(relative_l2(in_double(single.naive()), exact) < rounding<float>);
      CHECK(relative_l2(in_double(gradient), exact) < rounding<float>);
      CHECK(same_bits(gradient, single.gradient(one_thread())));
    }
}

TEST_CASE("layer_norm backward: tokens go back to where they came from; in place", "[ops][layer_norm_backward]") {
  constexpr int Dim = 24, positions = 36, rows = samples * positions;
  using Norm = Case<float, Dim, positions>;
  const Norm there;
  const auto source = [](int row) { return (row * 5 + 3) % rows; };
  const auto moved = there.gradient(Exec(), source), naive = there.naive(source);
  CHECK(relative_l2(in_double(moved), in_double(naive)) < rounding<float>);

  const Norm here;  // the same with x in the order of y
  for (int row = 0; row < rows; ++row) std::copy_n(there.x.data() + source(row) * Dim, Dim, here.x.data() + row * Dim);
  const auto straight = here.gradient(Exec());
  for (int row = 0; row < rows; ++row) {
    const float *a = moved.data() + source(row) * Dim, *b = straight.data() + row * Dim;
    CHECK(std::equal(a, a + Dim, b));
  }
  CHECK(std::equal(moved.data() + Norm::count, moved.data() + moved.size(), straight.data() + Norm::count));

  const auto apart = Norm().gradient(Exec());
  for (const bool over_x : {false, true}) {
    const Norm c;
    const auto sums = constant<float>(2 * Norm::channels);
    float* dx = over_x ? c.x.data() : c.dy.data();
    ops::layer_norm_backward<Dim>(Exec(), samples, positions, c.x.data(),
                                  ops::ChannelAffine<float>{c.scale.data(), c.shift.data(), c.step}, 1e-5, c.dy.data(),
                                  dx, sums.data(), sums.data() + Norm::channels, c.scratch.data(),
                                  static_cast<const float*>(c.keep.data()));
    CHECK(std::equal(dx, dx + Norm::count, apart.data()));
    CHECK(std::equal(sums.data(), sums.data() + sums.size(), apart.data() + Norm::count));
  }
}
