#pragma once
#include <Kokkos_Core.hpp>

namespace fieldstep::train {

/// A running average, average <- beta average + scale (1 - beta) x. Both factors are made in double: in float 1 - .999
/// is off by 5e-5.
template <class Real>
struct RunningAverage {
  Real keep, take;

  explicit RunningAverage(double beta, double scale = 1)
      : keep(static_cast<Real>(beta)), take(static_cast<Real>(scale * (1 - beta))) {}

  template <class V>
  KOKKOS_FORCEINLINE_FUNCTION V operator()(V average, V x) const {
    return keep * average + take * x;
  }
};

}  // namespace fieldstep::train
