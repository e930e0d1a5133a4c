#include <fieldstep/ops/window_attention_backward.hpp>
#include <support/allocations.hpp>
#include <support/gradient.hpp>
#include <support/threads.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 2;

/// Tokens of a grid, what attention in its windows needs, and a gradient of the result.
template <class Real, int Rows, int Columns, int Window, int Heads, int Dim>
struct Case {
  using Windows = ops::WindowGrid<Rows, Columns, Window>;
  static constexpr std::size_t width = Heads * Dim, table = (2 * Window - 1) * (2 * Window - 1);
  static constexpr std::size_t tokens = std::size_t{samples} * Rows * Columns;
  static constexpr std::size_t probabilities =
      std::size_t{samples} * Windows::windows * Heads * Windows::length * Windows::length;
  /// Of qkv, pad, scale and bias, and so of their gradients one after the other.
  static constexpr std::array<std::size_t, 4> sizes{tokens * 3 * width, 3 * width, Heads, Heads* table};
  static constexpr std::size_t size = sizes[0] + sizes[1] + sizes[2] + sizes[3];

  double largest_scale = 20;
  Arena<Real> qkv = drawn<Real>("qkv", sizes[0]);
  Arena<Real> pad = [] {
    auto numbers = drawn<Real>("pad", sizes[1]);
    std::fill_n(numbers.data() + width, width, Real(0));  // keys have no bias
    return numbers;
  }();
  Arena<Real> scale = drawn<Real>("scale", sizes[2], largest_scale / 2, largest_scale / 2);
  Arena<Real> bias = drawn<Real>("bias", sizes[3], 8, 8), dout = drawn<Real>("dout", tokens*width);
  /// What the gradients of pad, scale and bias are added to.
  Arena<Real> start = drawn<Real>("start", size - sizes[0]);
  Arena<Real> scratch =
      constant<Real>(ops::window_attention_backward_scratch_size<Rows, Columns, Window, Heads, Dim>(samples));

  Arena<Real> fast(const Exec& exec, int shift) const {
    return with(shift, [&](auto... arguments) {
      ops::window_attention_backward<Rows, Columns, Window, Heads, Dim>(exec, samples, arguments...);
    });
  }
  Arena<Real> naive(int shift, const Real* keep = nullptr) const {
    return with(shift, [keep, exec = Exec()](auto... arguments) {
      ops::window_attention_backward_naive<Rows, Columns, Window, Heads, Dim>(exec, samples, arguments..., keep);
    });
  }

 private:
  template <class Backward>
  Arena<Real> with(int shift, const Backward& backward) const {
    const auto result = constant<Real>(size);
    Real *dqkv = result.data(), *dpad = dqkv + sizes[0], *dscale = dpad + sizes[1], *dbias = dscale + sizes[2];
    std::copy_n(start.data(), start.size(), dpad);
    const AllocationCounter counter;
    backward(shift, qkv.data(), pad.data(), scale.data(), bias.data(), dout.data(), dqkv, dpad, dscale, dbias,
             scratch.data());
    const auto allocations = counter.allocations();
    CHECK(allocations == 0);
    return result;
  }
};

/// The naive gradient in double beside central differences, with dropped probabilities too.
template <int Rows, int Columns, int Window, int Heads, int Dim>
void check_gradient(int shift) {
  INFO(Rows << "x" << Columns << " window " << Window << " heads " << Heads << " of " << Dim << " shift " << shift);
  using Small = Case<double, Rows, Columns, Window, Heads, Dim>;
  const Small c{.largest_scale = 4};
  const auto kept = drawn<double>("keep", Small::probabilities);
  for (double& k : std::span(kept.data(), kept.size())) k = k > -0.5 ? 1 / 0.75 : 0;

  // The query and the key of a padded token stay as they are: one is dropped, the other is zero.
  constexpr std::size_t fixed = 2 * Small::width, values = 3 * Small::width - fixed;
  Numbers at = in_double(c.qkv);
  at.insert(at.end(), c.pad.data() + fixed, c.pad.data() + c.pad.size());
  for (const auto* more : {&c.scale, &c.bias}) at.insert(at.end(), more->data(), more->data() + more->size());
  for (const double* keep : {static_cast<const double*>(nullptr), static_cast<const double*>(kept.data())}) {
    const auto attend = [&](const Numbers& v) {
      const auto out = constant<double>(c.dout.size()), pad = constant<double>(Small::sizes[1], 0);
      const double *pad_values = v.data() + Small::sizes[0], *scale = pad_values + values, *bias = scale + Heads;
      std::copy_n(pad_values, values, pad.data() + fixed);
      ops::window_attention_naive<Rows, Columns, Window, Heads, Dim>(Exec(), samples, shift, v.data(), pad.data(),
                                                                     scale, bias, out.data(), keep);
      return in_double(out);
    };
    Numbers gradient = in_double(c.naive(shift, keep));
    for (std::size_t i = 0; i < c.start.size(); ++i) gradient[Small::sizes[0] + i] -= c.start.data()[i];
    const auto pads = gradient.begin() + Small::sizes[0];
    CHECK(std::all_of(pads, pads + fixed, [](double g) { return g == 0; }));
    gradient.erase(pads, pads + fixed);
    CHECK(relative_l2(gradient, central_differences(attend, at, in_double(c.dout), 1e-4)) < 1e-9);
  }
}

/// The fast gradient beside the naive one in double, tensor by tensor.
template <int Rows, int Columns, int Window, int Heads, int Dim>
void check_case(int shift) {
  INFO(Rows << "x" << Columns << " window " << Window << " heads " << Heads << " of " << Dim << " shift " << shift);
  for (const double largest : {20., 100.}) {
    const Case<double, Rows, Columns, Window, Heads, Dim> wide{.largest_scale = largest};
    const Case<float, Rows, Columns, Window, Heads, Dim> single{.largest_scale = largest};
    const auto gradient = single.fast(Exec(), shift);
    const Numbers exact = in_double(wide.naive(shift)), twin = in_double(wide.fast(Exec(), shift));
    const Numbers rounded = in_double(gradient), naive = in_double(single.naive(shift));
    const auto check = [&](const char* part, std::size_t first, std::size_t count) {
      INFO("gradient of " << part << ", scale " << largest);
      const auto of = [=](const Numbers& numbers) { return std::span(numbers).subspan(first, count); };
      CHECK(relative_l2(of(twin), of(exact)) < 2 * rounding<double>);
      CHECK(relative_l2(of(naive), of(exact)) < 2 * rounding<float>);
      CHECK(relative_l2(of(rounded), of(exact)) < 2 * rounding<float>);
    };
    const std::size_t pads = wide.sizes[0], rest = pads + wide.sizes[1];
    check("qkv", 0, pads);
    check("pad", pads, wide.sizes[1]);
    check("scale and bias", rest, wide.size - rest);  // one number of scale may be what a sum leaves that cancels
    CHECK(same_bits(gradient, single.fast(one_thread(), shift)));
  }
}

}  // namespace

TEST_CASE("window_attention backward, naive: agrees with central differences", "[ops][attention][gradient]") {
  check_gradient<4, 4, 2, 2, 3>(0);
  check_gradient<4, 6, 2, 1, 2>(1);
  check_gradient<4, 4, 2, 2, 1>(1);
  check_gradient<5, 4, 3, 2, 2>(0);  // padded
  check_gradient<5, 5, 3, 1, 4>(1);  // padded and shifted
}

TEST_CASE("window_attention backward: agrees with the naive version; equal bits for any threads",
          "[ops][attention][property]") {
  check_case<8, 8, 4, 2, 16>(0);
  check_case<8, 8, 4, 2, 16>(2);
  check_case<7, 7, 4, 2, 6>(0);      // padded
  check_case<7, 7, 3, 2, 4>(1);      // padded and shifted
  check_case<6, 12, 3, 3, 12>(1);    // not square
  check_case<4, 4, 4, 4, 32>(0);     // one window
  check_case<8, 8, 8, 2, 64>(0);     // wide heads
  check_case<32, 32, 16, 3, 16>(8);  // ScOT-T's first stage
  check_case<5, 9, 5, 1, 3>(2);
}

TEST_CASE("window_attention backward: below its least norm a query or a key is only scaled", "[ops][attention]") {
  constexpr int Grid = 4, Window = 2, Heads = 1, Dim = 2;
  using Small = Case<double, Grid, Grid, Window, Heads, Dim>;
  for (const int part : {0, 1}) {
    const Small c{.largest_scale = 4};
    double* v = c.qkv.data() + 5 * 3 * Small::width + static_cast<std::size_t>(part) * Small::width;
    const std::array<double, Dim> tiny{3e-13, -2e-13}, along{1, 0.5};
    const auto at = [&](double t) {
      const auto out = constant<double>(c.dout.size());
      for (int i = 0; i < Dim; ++i) v[i] = tiny[std::size_t(i)] + t * along[std::size_t(i)];
      ops::window_attention_naive<Grid, Grid, Window, Heads, Dim>(Exec(), samples, 0, c.qkv.data(), c.pad.data(),
                                                                  c.scale.data(), c.bias.data(), out.data());
      return dot(in_double(out), in_double(c.dout));
    };
    const double expected = derivative(at, 1e-15);
    at(0);
    for (const auto& gradient : {c.naive(0), c.fast(Exec(), 0)})
      CHECK(std::abs(dot({gradient.data() + (v - c.qkv.data()), Dim}, along) / expected - 1) < 1e-8);
  }
}
