#pragma once
#include <fieldstep/ops/statistics.hpp>

#include <cstddef>

// Gradients of instance norms, y = x * scale + shift where scale and shift come from the mean and the deviation of x
// over the positions of a sample (statistics.hpp). Only x is saved: its statistics are made anew.
namespace fieldstep::ops {

/// What the gradient of a norm needs to know of L channels of one sample, over its positions.
template <class Real, int L>
struct ChannelSums {
  vec<Real, L> mean;     ///< of x
  vec<Real, L> squares;  ///< sum (x - mean)^2
  vec<Real, L> dy;       ///< sum dy
  vec<Real, L> dy_x;     ///< sum dy (x - mean)
};

/// dx = scale * dy + slope * (x - mean) + shift: the gradient of any such norm.
template <class Real, int L>
struct ChannelGradient {
  vec<Real, L> scale, slope, shift;
};

/// dx = base + the gradient that finish(sample, channel, ChannelSums) answers for L channels; finish also keeps what
/// the weights' gradients need.
///   x, dy, base, dx: (samples, positions, Channels); base may be null for 0, dx may be dy or base
template <int Channels, class Exec, class Real, class Finish>
void channel_gradient(const Exec& exec, int samples, int positions, const Real* x, const Real* dy, const Real* base,
                      Real* dx, const Finish& finish) {
  constexpr int L = lanes_for<Real>(Channels), chunks = Channels / L;
  for_ranges(exec, samples * chunks, [=](int begin, int end) {
    for (int item = begin; item < end; ++item) {
      const int sample = item / chunks, channel = item % chunks * L;
      const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(sample) * positions * Channels + channel;
      const auto place = [=](int r) { return first + static_cast<std::ptrdiff_t>(r) * Channels; };
      ChannelSums<Real, L> sums{};
      sums.mean = detail::blocked_sum<Real, L>(positions, [=](int r) { return load<L>(x + place(r)); }) /
                  static_cast<Real>(positions);
      for (int block = 0; block < positions; block += 64) {  // as in blocked_sum
        ChannelSums<Real, L> part{};
        for (int r = block; r < positions && r < block + 64; ++r) {
          const vec<Real, L> deviation = load<L>(x + place(r)) - sums.mean, g = load<L>(dy + place(r));
          part.squares += deviation * deviation, part.dy += g, part.dy_x += g * deviation;
        }
        sums.squares += part.squares, sums.dy += part.dy, sums.dy_x += part.dy_x;
      }
      const ChannelGradient<Real, L> d = finish.template operator()<L>(sample, channel, sums);
      for (int r = 0; r < positions; ++r) {
        const vec<Real, L> deviation = load<L>(x + place(r)) - sums.mean;
        vec<Real, L> gradient = d.scale * load<L>(dy + place(r)) + d.slope * deviation + d.shift;
        if (base) gradient += load<L>(base + place(r));
        store<L>(dx + place(r), gradient);
      }
    }
  });
}

// --- The blocks' norms, naively: for any execution space, yardstick of the tests, and the device path. One thread a
// --- channel, samples in order ---

/// Gradient of y = gamma keep weight x / (sigma + eps), sigma = sqrt(sum (x - mean)^2 / (positions - 1)); at sigma = 0
/// without what goes through sigma. dx = base + dL/dx; adds to dweight and dgamma.
///   x, dy, base, dx: (samples, positions, channels); gamma (channels), keep (samples), base and dgamma may be null
template <class Exec, class Real>
void rms_instance_norm_backward_naive(const Exec& exec, int samples, int positions, int channels, double eps,
                                      const Real* weight, const Real* gamma, const Real* keep, const Real* x,
                                      const Real* dy, const Real* base, Real* dx, Real* dweight, Real* dgamma) {
  Kokkos::parallel_for(
      Kokkos::RangePolicy<Exec>(exec, 0, channels), KOKKOS_LAMBDA(int c) {
        const Real scale = gamma ? gamma[c] : Real(1);
        for (int sample = 0; sample < samples; ++sample) {
          const auto at = [=](int r) { return (static_cast<std::ptrdiff_t>(sample) * positions + r) * channels + c; };
          Real mean = 0, squares = 0, dy_x = 0;
          for (int r = 0; r < positions; ++r) mean += x[at(r)] / static_cast<Real>(positions);
          for (int r = 0; r < positions; ++r) squares += (x[at(r)] - mean) * (x[at(r)] - mean);
          for (int r = 0; r < positions; ++r) dy_x += dy[at(r)] * x[at(r)];
          const Real sigma = Kokkos::sqrt(squares / static_cast<Real>(positions - 1));
          const Real inverse = 1 / (sigma + static_cast<Real>(eps)), kept = keep ? keep[sample] : Real(1);
          const Real factor = weight[c] * scale * kept * inverse;
          const Real slope =
              sigma == 0 ? Real(0) : factor * dy_x * inverse / (static_cast<Real>(positions - 1) * sigma);
          for (int r = 0; r < positions; ++r)
            dx[at(r)] = (base ? base[at(r)] : Real(0)) + factor * dy[at(r)] - slope * (x[at(r)] - mean);
          dweight[c] += scale * kept * inverse * dy_x;
          if (dgamma) dgamma[c] += weight[c] * kept * inverse * dy_x;
        }
      });
}

/// Gradient of y = weight xhat + bias, xhat = (x - mean) / sqrt(var + eps). dx = base + dL/dx; adds to dweight and
/// dbias.
///   x, dy, base, dx: (samples, positions, channels); base may be null
template <class Exec, class Real>
void instance_norm_backward_naive(const Exec& exec, int samples, int positions, int channels, double eps,
                                  const Real* weight, const Real* x, const Real* dy, const Real* base, Real* dx,
                                  Real* dweight, Real* dbias) {
  Kokkos::parallel_for(
      Kokkos::RangePolicy<Exec>(exec, 0, channels), KOKKOS_LAMBDA(int c) {
        const Real count = static_cast<Real>(positions);
        for (int sample = 0; sample < samples; ++sample) {
          const auto at = [=](int r) { return (static_cast<std::ptrdiff_t>(sample) * positions + r) * channels + c; };
          Real mean = 0, variance = 0, sum = 0, product = 0;
          for (int r = 0; r < positions; ++r) mean += x[at(r)] / count;
          for (int r = 0; r < positions; ++r) variance += (x[at(r)] - mean) * (x[at(r)] - mean) / count;
          const Real rstd = 1 / Kokkos::sqrt(variance + static_cast<Real>(eps));
          for (int r = 0; r < positions; ++r) sum += dy[at(r)], product += dy[at(r)] * (x[at(r)] - mean) * rstd;
          for (int r = 0; r < positions; ++r)
            dx[at(r)] = (base ? base[at(r)] : Real(0)) +
                        rstd * weight[c] * (dy[at(r)] - sum / count - (x[at(r)] - mean) * rstd * product / count);
          dweight[c] += product;
          dbias[c] += sum;
        }
      });
}

}  // namespace fieldstep::ops
