#pragma once
#include <fieldstep/ops/pointwise.hpp>

#include <cstddef>

// Sums over the differences of two states, and their derivatives: what losses are made of. A measure has
//   inner(d)   what is summed of a difference d
//   slope(d)   its derivative
// for a number and, with the same operators, for a vector of numbers. It runs on the host.
namespace fieldstep::ops {

namespace detail {

/// y - target, or y where there is no target.
template <class V, class Real>
[[gnu::always_inline]] inline V difference(const Real* y, const Real* target, std::size_t i) {
  const V value = load_as<V>(y + i);
  return target ? value - load_as<V>(target + i) : value;
}

}  // namespace detail

/// sum_i inner(y[i] - target[i]) of `count` numbers, in double and in a fixed order; target may be null for zeros. Adds
/// scale slope(y[i] - target[i]) to dy[i] and its negative to dtarget[i], each where it is not null.
template <class Measure, class Real>
double measure_pass(const Measure& measure, std::size_t count, const Real* y, const Real* target, double scale,
                    Real* dy, Real* dtarget) {
  constexpr std::size_t L = lanes<double>, half = L / 2, unroll = 2;
  const auto factor = static_cast<Real>(scale);
  const auto of = [&]<class V>(V, std::size_t i) {
    const V d = detail::difference<V>(y, target, i);
    if (dy || dtarget) {
      const V g = factor * measure.slope(d);
      if (dy) detail::store_as<V>(dy + i, detail::load_as<V>(dy + i) + g);
      if (dtarget) detail::store_as<V>(dtarget + i, detail::load_as<V>(dtarget + i) - g);
    }
    return in_double(measure.inner(d));
  };
  vec<double, L> sums[unroll] = {};
  double rest = 0;
  std::size_t i = 0;
  for (; i + unroll * L <= count; i += unroll * L)
    for (std::size_t k = 0; k < unroll; ++k) sums[k] += of(vec<Real, L>{}, i + k * L);
  for (; i + L <= count; i += L) sums[0] += of(vec<Real, L>{}, i);
  if (i + half <= count) {  // of a small state much is rest
    rest += sum<double, half>(of(vec<Real, half>{}, i));
    i += half;
  }
  for (; i < count; ++i) rest += of(Real{}, i);
  return rest + sum<double, L>(sums[0] + sums[1]);
}

/// sum_i inner(y[i] - target[i]) of `count` numbers, in double and in a fixed order; target may be null for zeros.
template <class Measure, class Real>
double measure_sum(const Measure& measure, std::size_t count, const Real* y, const Real* target) {
  return measure_pass(measure, count, y, target, 0, static_cast<Real*>(nullptr), static_cast<Real*>(nullptr));
}

}  // namespace fieldstep::ops
