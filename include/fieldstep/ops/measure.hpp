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

/// sum_i inner(y[i] - target[i]) of `count` numbers, in double and in a fixed order; target may be null for zeros.
template <class Measure, class Real>
double measure_sum(const Measure& measure, std::size_t count, const Real* y, const Real* target) {
  constexpr std::size_t L = lanes<double>;
  using V = vec<Real, L>;
  vec<double, L> sums[4] = {};
  double rest = 0;
  std::size_t i = 0;
  for (; i + 4 * L <= count; i += 4 * L)
    for (std::size_t k = 0; k < 4; ++k)
      sums[k] += in_double(measure.inner(detail::difference<V>(y, target, i + k * L)));
  for (; i < count; ++i) rest += in_double(measure.inner(detail::difference<Real>(y, target, i)));
  const vec<double, L> all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (std::size_t l = 0; l < L; ++l) rest += all[l];
  return rest;
}

/// Adds scale slope(y[i] - target[i]) to dy[i] and its negative to dtarget[i], each where it is not null.
template <class Measure, class Real>
void add_measure_gradient(const Measure& measure, std::size_t count, const Real* y, const Real* target, double scale,
                          Real* dy, Real* dtarget) {
  constexpr std::size_t L = lanes<Real>;
  const auto factor = static_cast<Real>(scale);
  const auto pass = [&]<class V>(V, std::size_t i) {
    const V g = factor * measure.slope(detail::difference<V>(y, target, i));
    if (dy) detail::store_as<V>(dy + i, detail::load_as<V>(dy + i) + g);
    if (dtarget) detail::store_as<V>(dtarget + i, detail::load_as<V>(dtarget + i) - g);
  };
  std::size_t i = 0;
  for (; i + L <= count; i += L) pass(vec<Real, L>{}, i);
  for (; i < count; ++i) pass(Real{}, i);
}

}  // namespace fieldstep::ops
