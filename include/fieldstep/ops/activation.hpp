#pragma once
#include <fieldstep/ops/vec.hpp>

#include <concepts>

// Activations of small networks, f(x) with f(0) = 0: channels that only fill a vector stay zero.
//   value(x)     f(x)
//   slope(y)     f'(x), as a function of y = f(x)
// One whose slope is no function of y has keeps_slope, and value(x, slope) gives both.
namespace fieldstep::ops {

struct Identity {
  static constexpr bool keeps_slope = false;
  template <class Real, int L>
  [[gnu::always_inline]] static vec<Real, L> value(vec<Real, L> x) {
    return x;
  }
  template <class Real, int L>
  [[gnu::always_inline]] static vec<Real, L> slope(vec<Real, L>) {
    return broadcast<L>(Real(1));
  }
};

/// max(x, 0); its slope at 0 is 0, as PyTorch's and JAX's.
struct Relu {
  static constexpr bool keeps_slope = false;
  template <class Real, int L>
  [[gnu::always_inline]] static vec<Real, L> value(vec<Real, L> x) {
    return x > Real(0) ? x : vec<Real, L>{};
  }
  template <class Real, int L>
  [[gnu::always_inline]] static vec<Real, L> slope(vec<Real, L> y) {
    return y > Real(0) ? broadcast<L>(Real(1)) : vec<Real, L>{};
  }
};

struct Tanh {
  static constexpr bool keeps_slope = false;
  /// Float: x + x^3 P(x^2) for |x| < 5/8, 1 - 2 / (e^2x + 1) beyond; relative error below 3e-7. Double: the C library.
  /// Source of P: Moshier's Cephes, tanhf.
  template <class Real, int L>
  [[gnu::always_inline]] static vec<Real, L> value(vec<Real, L> x) {
    if constexpr (std::same_as<Real, float>) {
      const vec<float, L> z = x * x;
      vec<float, L> p = z * -5.70498872745e-3f + 2.06390887954e-2f;
      p = p * z - 5.37397155531e-2f;
      p = p * z + 1.33314422036e-1f;
      p = p * z - 3.33332819422e-1f;
      const vec<float, L> far = 1.0f - 2.0f / (exp<float, L>(x + x) + 1.0f);
      return z < 0.390625f ? x + x * z * p : far;
    } else {
      for (int l = 0; l < L; ++l) x[l] = std::tanh(x[l]);
      return x;
    }
  }
  template <class Real, int L>
  [[gnu::always_inline]] static vec<Real, L> slope(vec<Real, L> y) {
    return Real(1) - y * y;
  }
};

/// The erf form.
struct Gelu {
  static constexpr bool keeps_slope = true;
  template <class Real, int L>
  [[gnu::always_inline]] static vec<Real, L> value(vec<Real, L> x, vec<Real, L>& slope) {
    return gelu<Real, L>(x, slope);
  }
};

}  // namespace fieldstep::ops
