#pragma once
#include <fieldstep/core/error.hpp>

#include <cstddef>

namespace fieldstep::train {

/// A loss of the newest frame of states that hold several, (frames, fields, points), such as those of a network with a
/// history; the older ones were losses at earlier levels. The mean over the samples, whatever the loss's own reduction.
template <class Loss>
struct NewestFrame {
  int frames;
  Loss loss{};
  static constexpr bool needs_target = Loss::needs_target;

  template <class Exec, class Real>
  double operator()(const Exec& exec, int samples, std::size_t size, const Real* y, const Real* target, double weight,
                    Real* dy, Real* dtarget) const {
    const auto of = static_cast<std::size_t>(frames);
    if (frames < 1 || size % of != 0)
      fail_usage("NewestFrame: found states of ", size, " numbers, wanted ", frames, " frames of equal size");
    const std::size_t frame = size / of;
    double value = 0;
    for (int s = 0; s < samples; ++s) {
      const std::size_t newest = (static_cast<std::size_t>(s) + 1) * size - frame;
      const auto at = [newest](auto* memory) { return memory ? memory + newest : nullptr; };
      value += loss(exec, 1, frame, y + newest, at(target), weight / samples, at(dy), at(dtarget)) / samples;
    }
    return value;
  }
};

}  // namespace fieldstep::train
