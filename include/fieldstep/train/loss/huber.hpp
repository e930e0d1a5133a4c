#pragma once
#include <fieldstep/train/loss/sample_loss.hpp>

namespace fieldstep::train {

namespace detail {

struct MeanHuber {
  double delta;
  static constexpr bool linear = true;
  template <class V>
  V inner(V d) const {
    const V size = ops::magnitude(d), limit = V{} + number(d);
    return size <= limit ? d * d / 2 : limit * (size - limit / 2);
  }
  template <class V>
  V slope(V d) const {
    const V limit = V{} + number(d);
    return d > limit ? limit : d < -limit ? -limit : d;
  }
  double outer(double mean) const { return mean; }
  double outer_slope(double) const { return 1; }

 private:
  /// delta in the precision of the states.
  template <class V>
  auto number(V d) const {
    if constexpr (std::is_floating_point_v<V>)
      return static_cast<V>(delta);
    else
      return static_cast<std::remove_cvref_t<decltype(d[0])>>(delta);
  }
};

}  // namespace detail

/// mean of d^2 / 2 where |d| <= delta, else of delta (|d| - delta / 2), over all channels and points of a sample.
/// Source: Huber 1964; torch.nn.HuberLoss.
template <class Reduction = Mean>
struct Huber {
  double delta = 1;
  static constexpr bool needs_target = false;

  template <class Exec, class Real>
  double operator()(const Exec& exec, int samples, std::size_t size, const Real* y, const Real* target, double weight,
                    Real* dy, Real* dtarget) const {
    return detail::sample_loss<Reduction>(exec, detail::MeanHuber{delta}, samples, size, y, target, weight, dy,
                                          dtarget);
  }
};

}  // namespace fieldstep::train
