#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/vec.hpp>

#include <cstddef>

namespace fieldstep::ops {

namespace detail {

/// Sum of f(row) over `rows` rows, in blocks of 64 so that the rounding error of a long float sum stays small.
template <class Real, int L, class F>
[[gnu::always_inline]] inline vec<Real, L> blocked_sum(int rows, const F& f) {
  vec<Real, L> total{};
  for (int begin = 0; begin < rows; begin += 64) {
    const int end = begin + 64 < rows ? begin + 64 : rows;
    vec<Real, L> even{}, odd{};
    int r = begin;
    for (; r + 1 < end; r += 2) even += f(r), odd += f(r + 1);
    if (r < end) even += f(r);
    total += even + odd;
  }
  return total;
}

}  // namespace detail

/// Mean and sum of squared deviations of every channel of every sample, in two passes, handed to
/// finish(sample, channel, mean, squares) as vectors of L channels.
///   x: (samples, rows, Channels) with `sample_stride` numbers from sample to sample
template <int Channels, class Exec, class Real, class Finish>
void channel_statistics(const Exec& exec, int samples, int rows, const Real* x, std::ptrdiff_t sample_stride,
                        const Finish& finish) {
  constexpr int L = lanes_for<Real>(Channels), chunks = Channels / L;
  for_ranges(exec, samples * chunks, [=](int begin, int end) {
    for (int item = begin; item < end; ++item) {
      const int sample = item / chunks, channel = item % chunks * L;
      const Real* column = x + sample * sample_stride + channel;
      const auto at = [=](int r) { return load<L>(column + static_cast<std::ptrdiff_t>(r) * Channels); };
      const vec<Real, L> mean = detail::blocked_sum<Real, L>(rows, at) / static_cast<Real>(rows);
      const vec<Real, L> squares = detail::blocked_sum<Real, L>(rows, [=](int r) {
        const vec<Real, L> deviation = at(r) - mean;
        return deviation * deviation;
      });
      finish.template operator()<L>(sample, channel, mean, squares);
    }
  });
}

/// y = x * scale (+ shift), scale and shift (samples, Channels); shift may be null, y may be x.
template <int Channels, class Exec, class Real>
void scale_shift(const Exec& exec, int samples, int rows, const Real* x, const Real* scale, const Real* shift,
                 Real* y) {
  constexpr int L = lanes_for<Real>(Channels);
  for_ranges(exec, samples * rows, [=](int begin, int end) {
    for (int row = begin; row < end; ++row) {
      const auto at = static_cast<std::ptrdiff_t>(row) * Channels;
      const auto group = static_cast<std::ptrdiff_t>(row / rows) * Channels;
      for (int c = 0; c < Channels; c += L) {
        vec<Real, L> v = load<L>(x + at + c) * load<L>(scale + group + c);
        if (shift) v += load<L>(shift + group + c);
        store<L>(y + at + c, v);
      }
    }
  });
}

/// y = x + keep * gamma * (branch * scale): a normalised residual branch with layer scale and stochastic depth.
///   branch, x, y: (samples, rows, Channels), y may be x; scale (samples, Channels); gamma (Channels); keep: a factor a
///   sample, null for 1
template <int Channels, class Exec, class Real>
void add_scaled_branch(const Exec& exec, int samples, int rows, const Real* branch, const Real* scale,
                       const Real* gamma, const Real* keep, const Real* x, Real* y) {
  constexpr int L = lanes_for<Real>(Channels);
  for_ranges(exec, samples * rows, [=](int begin, int end) {
    for (int row = begin; row < end; ++row) {
      const auto at = static_cast<std::ptrdiff_t>(row) * Channels;
      const auto group = static_cast<std::ptrdiff_t>(row / rows) * Channels;
      const Real factor = keep ? keep[row / rows] : Real(1);
      for (int c = 0; c < Channels; c += L) {
        const vec<Real, L> normalised = load<L>(branch + at + c) * load<L>(scale + group + c);
        // Factors first: the same bits whether or not the compiler knows that keep is null.
        store<L>(y + at + c, load<L>(x + at + c) + normalised * (load<L>(gamma + c) * factor));
      }
    }
  });
}

/// Square root, lane by lane (one instruction where the target has it).
template <int L, class Real>
inline vec<Real, L> sqrt(vec<Real, L> x) {
  for (int l = 0; l < L; ++l) x[l] = std::sqrt(x[l]);
  return x;
}

// --- The same, naively: for any execution space, yardstick of the tests and benchmarks, and the device path ---

/// As channel_statistics, one thread a channel of a sample, into mean and squares (samples, channels).
template <class Exec, class Real>
void channel_statistics_naive(const Exec& exec, int samples, int rows, int channels, const Real* x,
                              std::ptrdiff_t sample_stride, Real* mean, Real* squares) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {samples, channels}),
      KOKKOS_LAMBDA(int sample, int channel) {
        const Real* column = x + sample * sample_stride + channel;
        Real m = 0, s = 0;
        for (int r = 0; r < rows; ++r) m += column[static_cast<std::ptrdiff_t>(r) * channels];
        m /= static_cast<Real>(rows);
        for (int r = 0; r < rows; ++r) {
          const Real deviation = column[static_cast<std::ptrdiff_t>(r) * channels] - m;
          s += deviation * deviation;
        }
        mean[sample * channels + channel] = m;
        squares[sample * channels + channel] = s;
      });
}

/// As scale_shift, one thread a number.
template <class Exec, class Real>
void scale_shift_naive(const Exec& exec, int samples, int rows, int channels, const Real* x, const Real* scale,
                       const Real* shift, Real* y) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {samples * rows, channels}),
      KOKKOS_LAMBDA(int row, int c) {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * channels + c;
        const std::ptrdiff_t group = static_cast<std::ptrdiff_t>(row / rows) * channels + c;
        y[at] = x[at] * scale[group] + (shift ? shift[group] : Real(0));
      });
}

/// As add_scaled_branch, one thread a number.
template <class Exec, class Real>
void add_scaled_branch_naive(const Exec& exec, int samples, int rows, int channels, const Real* branch,
                             const Real* scale, const Real* gamma, const Real* keep, const Real* x, Real* y) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {samples * rows, channels}),
      KOKKOS_LAMBDA(int row, int c) {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * channels + c;
        const std::ptrdiff_t group = static_cast<std::ptrdiff_t>(row / rows) * channels + c;
        y[at] = x[at] + branch[at] * scale[group] * gamma[c] * (keep ? keep[row / rows] : Real(1));
      });
}

}  // namespace fieldstep::ops
