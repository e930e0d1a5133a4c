#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/measure.hpp>
#include <fieldstep/train/loss/reduction.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

// Losses that are a function of the mean over a sample's numbers,
//   value = outer(mean_i inner(d_i)),  d = prediction - target
// A measure has inner(d), slope(d) = inner'(d), outer(mean), outer_slope(mean) and says whether outer is linear, the
// mean itself; all channels and points count alike.
namespace fieldstep::train::detail {

/// One sample's value and the derivatives of it.
template <class Measure, class Real>
struct SampleValue {
  const Measure& measure;
  std::size_t size;
  double mean, value;

  SampleValue(const Measure& of, std::size_t numbers, const Real* y, const Real* target)
      : measure(of),
        size(numbers),
        mean(ops::measure_sum(of, numbers, y, target) / static_cast<double>(numbers)),
        value(of.outer(mean)) {}

  void add_gradient(const Real* y, const Real* target, double weight, Real* dy, Real* dtarget) const {
    if (!dy && !dtarget) return;
    const double scale = weight * measure.outer_slope(mean) / static_cast<double>(size);
    ops::measure_pass(measure, size, y, target, scale, dy, dtarget);
  }
};

/// of(s, weigh) for the samples of a batch, reduced: `of` computes the value of sample s, calls weigh(value) for what
/// the sample counts for, adds its gradient times that, and returns the value. Samples are computed by several threads
/// where there is enough to do; their values are joined in order.
template <class Reduction, class Exec, class OfSample>
double reduce_samples(const Exec& exec, int samples, std::size_t size, const OfSample& of) {
  constexpr int group = 64;
  constexpr std::size_t least_numbers = 1 << 15;  // that a thread of their own pays for
  const int least = static_cast<int>(std::max<std::size_t>(1, least_numbers / std::max<std::size_t>(1, size)));
  BatchValues batch{.samples = samples, .largest = -std::numeric_limits<double>::infinity()};
  const auto values_of = [&](int first, double* values, bool weighed) {
    for_ranges(
        exec, std::min(group, samples - first),
        [=, &of, &batch](int begin, int end) {
          for (int i = begin; i < end; ++i)
            values[i] = of(first + i, [&](double value) { return weighed ? Reduction::share(value, batch) : 0.; });
        },
        least);
    exec.fence("losses");
  };
  std::array<double, group> values;
  if constexpr (Reduction::needs_largest)
    for (int first = 0; first < samples; first += group) {
      values_of(first, values.data(), false);
      for (int i = 0; i < std::min(group, samples - first); ++i) {
        const double value = values[static_cast<std::size_t>(i)];
        batch.ties = value > batch.largest ? 1 : batch.ties + (value == batch.largest);
        batch.largest = value >= batch.largest || std::isnan(value) ? value : batch.largest;
      }
    }
  double total = 0;
  for (int first = 0; first < samples; first += group) {
    values_of(first, values.data(), true);
    for (int i = 0; i < std::min(group, samples - first); ++i) {
      const double value = values[static_cast<std::size_t>(i)];
      total += Reduction::share(value, batch) * value;
    }
  }
  return total;
}

/// Where outer(mean) = mean and samples are reduced by a mean or a sum, all numbers of the batch count alike: one pass
/// over pieces of it.
template <class Reduction, class Exec, class Measure, class Real>
double linear_loss(const Exec& exec, const Measure& measure, int samples, std::size_t size, const Real* y,
                   const Real* target, double weight, Real* dy, Real* dtarget) {
  constexpr std::size_t piece = 4096;
  const std::size_t count = static_cast<std::size_t>(samples) * size;
  const double share = Reduction::share(0, {.samples = samples}) / static_cast<double>(size);
  const int pieces = static_cast<int>((count + piece - 1) / piece);
  const double sum = reduce_samples<Sum>(exec, pieces, piece, [=](int p, const auto&) {
    const std::size_t at = static_cast<std::size_t>(p) * piece;
    const auto of = [at](auto* memory) { return memory ? memory + at : nullptr; };
    return ops::measure_pass(measure, std::min(piece, count - at), y + at, of(target), weight * share, of(dy),
                             of(dtarget));
  });
  return share * sum;
}

/// A loss of the differences alone.
template <class Reduction, class Exec, class Measure, class Real>
double sample_loss(const Exec& exec, const Measure& measure, int samples, std::size_t size, const Real* y,
                   const Real* target, double weight, Real* dy, Real* dtarget) {
  if constexpr (Measure::linear && !Reduction::needs_largest)
    return linear_loss<Reduction>(exec, measure, samples, size, y, target, weight, dy, dtarget);
  return reduce_samples<Reduction>(exec, samples, size, [=](int s, const auto& weigh) {
    const std::size_t at = static_cast<std::size_t>(s) * size;
    const auto of = [at](auto* memory) { return memory ? memory + at : nullptr; };
    const SampleValue<Measure, Real> loss(measure, size, y + at, of(target));
    if (const double share = weight * weigh(loss.value); share != 0)
      loss.add_gradient(y + at, of(target), share, of(dy), of(dtarget));
    return loss.value;
  });
}

/// The same divided by that of the target alone, without an epsilon: a target of zeros gives infinity or NaN.
template <class Reduction, class Exec, class Measure, class Real>
double normalized_loss(const Exec& exec, const char* name, const Measure& measure, int samples, std::size_t size,
                       const Real* y, const Real* target, double weight, Real* dy, Real* dtarget) {
  if (!target) fail_usage(name, ": there is no target, wanted one to divide by");
  return reduce_samples<Reduction>(exec, samples, size, [=](int s, const auto& weigh) {
    const std::size_t at = static_cast<std::size_t>(s) * size;
    const auto of = [at](auto* memory) { return memory ? memory + at : nullptr; };
    const Real* const none = nullptr;
    const SampleValue<Measure, Real> error(measure, size, y + at, target + at), norm(measure, size, target + at, none);
    const double value = error.value / norm.value;
    if (const double share = weight * weigh(value); share != 0) {
      error.add_gradient(y + at, target + at, share / norm.value, of(dy), of(dtarget));
      norm.add_gradient(target + at, none, -share * value / norm.value, of(dtarget), static_cast<Real*>(nullptr));
    }
    return value;
  });
}

}  // namespace fieldstep::train::detail
