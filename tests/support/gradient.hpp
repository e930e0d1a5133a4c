#pragma once
#include <support/numbers.hpp>

#include <algorithm>
#include <numeric>
#include <span>

// Gradients without a derivation: what every hand-written backward is compared to.
namespace fieldstep::support {

inline double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// Derivative at 0 of a function of one number by central differences of widths h and 2h, joined so that what is left
/// is h^4 / 30 of its fifth derivative and rounding, a few epsilon / h of its values.
template <class F>
double derivative(const F& f, double h = 1e-3) {
  const double near = f(h) - f(-h), far = f(2 * h) - f(-2 * h);
  return (8 * near - far) / (12 * h);
}

/// dL/dx of L = sum_i dy_i f(x)_i, entry by entry; f: a function from Numbers to Numbers. An x of many entries is
/// better checked along one direction e: derivative([&](double t) { return dot(f(x + t e), dy); }) is dot(dx, e).
template <class F>
Numbers central_differences(const F& f, Numbers x, std::span<const double> dy, double h = 1e-3) {
  Numbers dx(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double centre = x[i];
    dx[i] = derivative(
        [&](double t) {
          x[i] = centre + t;
          return dot(f(x), dy);
        },
        h);
    x[i] = centre;
  }
  return dx;
}

}  // namespace fieldstep::support
