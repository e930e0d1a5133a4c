#pragma once
#include <fieldstep/train/loss/sample_loss.hpp>

namespace fieldstep::train {

namespace detail {

struct MeanPower {  // p stands in none of the two slopes: it cancels
  double p;
  static constexpr bool linear = false;
  template <class V>
  V inner(V d) const {
    return power(d, p);
  }
  template <class V>
  V slope(V d) const {
    const V size = power(d, p - 1);
    return d > V{} ? size : d < V{} ? -size : V{};
  }
  double outer(double mean) const { return std::pow(mean, 1 / p); }
  double outer_slope(double mean) const { return mean > 0 ? std::pow(mean, 1 / p - 1) : 0; }

 private:
  /// |d|^exponent
  template <class V>
  static V power(V d, double exponent) {
    if constexpr (std::is_floating_point_v<V>) {
      return std::pow(std::abs(d), static_cast<V>(exponent));
    } else {
      for (std::size_t l = 0; l < sizeof d / sizeof d[0]; ++l) d[l] = power(+d[l], exponent);
      return d;
    }
  }
};

}  // namespace detail

/// (mean |d|^p)^(1/p) over all channels and points of a sample: RMSE with p = 2, MAE with p = 1. The derivative at 0 is
/// 0. Source: announced in trainax (loss/_lp_loss.py, empty there).
template <class Reduction = Mean>
struct Lp {
  double p = 2;
  static constexpr bool needs_target = false;

  template <class Exec, class Real>
  double operator()(const Exec& exec, int samples, std::size_t size, const Real* y, const Real* target, double weight,
                    Real* dy, Real* dtarget) const {
    return detail::sample_loss<Reduction>(exec, detail::MeanPower{p}, samples, size, y, target, weight, dy, dtarget);
  }
};

}  // namespace fieldstep::train
