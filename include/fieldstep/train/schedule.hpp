#pragma once
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

// Learning rates as functions of t, the number of updates done before: the first update has the rate at t = 0, so a
// warm-up from 0 makes it empty. Members without a value here must be given.
// Source: optax 0.2.8; in double, where optax divides a counter in float32.
namespace fieldstep::train {

namespace detail {

/// From 1 at x = 0 to 0 at x = 1 along half a cosine.
inline double half_cosine(double x) { return .5 * (1 + std::cos(std::numbers::pi * x)); }

/// Share of `steps` that is over at t; all of it where there is nothing to wait for.
inline double progress(long t, long steps) {
  return t >= steps ? 1 : t <= 0 ? 0 : static_cast<double>(t) / static_cast<double>(steps);
}

}  // namespace detail

struct Constant {
  double value = 1e-3;
  double operator()(long) const { return value; }
};

/// init rate^((t - begin) / steps), not beyond `end`; a staircase goes down once in `steps`.
struct ExponentialDecay {
  double init;
  long steps;
  double rate;
  long begin = 0;
  bool staircase = false;
  std::optional<double> end = std::nullopt;

  double operator()(long t) const {
    double value = init;
    if (t > begin && steps > 0) {
      const double exponent = static_cast<double>(t - begin) / static_cast<double>(steps);
      value *= std::pow(rate, staircase ? std::floor(exponent) : exponent);
    }
    if (!end) return value;
    return rate < 1 ? std::fmax(value, *end) : std::fmin(value, *end);
  }
};

/// From init along half a cosine, to the power of `exponent`, to alpha init at t = steps, where it stays.
struct CosineDecay {
  double init;
  long steps;
  double alpha = 0, exponent = 1;

  double operator()(long t) const {
    const double share = std::pow(detail::half_cosine(detail::progress(t, steps)), exponent);
    return init * ((1 - alpha) * share + alpha);
  }
};

/// From init at t = begin to end at begin + steps: (init - end) (1 - progress)^power + end. optax' linear_schedule has
/// power 1.
struct PolynomialDecay {
  double init, end;
  long steps;
  double power = 1;
  long begin = 0;

  double operator()(long t) const {
    return (init - end) * std::pow(1 - detail::progress(t - begin, steps), power) + end;
  }
};
using LinearDecay = PolynomialDecay;

/// Linear from init to peak in `warmup` updates, then along half a cosine to `end` at t = total, the warm-up included.
struct WarmupCosine {
  double peak;
  long warmup, total;
  double init = 0, end = 0, exponent = 1;

  double operator()(long t) const {
    if (t < warmup) return LinearDecay{init, peak, warmup}(t);
    const double alpha = peak == 0 ? 0 : end / peak;
    return CosineDecay{peak, total - warmup, alpha, exponent}(t - warmup);
  }
};

/// Linear from init to decay.init in `warmup` updates, then `decay` of t - warmup.
struct WarmupExponential {
  ExponentialDecay decay;
  long warmup;
  double init = 0;

  double operator()(long t) const { return t < warmup ? LinearDecay{init, decay.init, warmup}(t) : decay(t - warmup); }
};

/// init times every scale whose step has come.
struct PiecewiseConstant {
  double init;
  std::vector<std::pair<long, double>> scales;  ///< (step, scale)

  double operator()(long t) const {
    double value = init;
    for (const auto& [step, scale] : scales)
      if (step <= t) value *= scale;
    return value;
  }
};

/// Up from peak / div to peak at t = int(pct_start steps), then down to peak / (div final_div) at t = steps, each along
/// half a cosine.
/// Source: Smith and Topin 2017, arXiv:1708.07120.
struct CosineOneCycle {
  long steps;
  double peak;
  double pct_start = .3, div = 25, final_div = 1e4;

  double operator()(long t) const {
    const long top = static_cast<long>(pct_start * static_cast<double>(steps));
    const auto from_to = [](double a, double b, double x) { return b + (a - b) * detail::half_cosine(x); };
    if (t < top) return from_to(peak / div, peak, detail::progress(t, top));
    return from_to(peak, peak / (div * final_div), detail::progress(t - top, steps - top));
  }
};

/// Up from peak / div to peak at t = int(pct_start steps), down again at t = int(pct_final steps) and on to
/// peak / (div final_div) at t = steps, in straight lines.
struct LinearOneCycle {
  long steps;
  double peak;
  double pct_start = .3, pct_final = .85, div = 25, final_div = 1e4;

  double operator()(long t) const {
    const long top = static_cast<long>(pct_start * static_cast<double>(steps));
    const long foot = static_cast<long>(pct_final * static_cast<double>(steps));
    const double low = peak / div;
    if (t < top) return LinearDecay{low, peak, top}(t);
    if (t < foot) return LinearDecay{peak, low, foot - top}(t - top);
    return LinearDecay{low, low / final_div, steps - foot}(t - foot);
  }
};

}  // namespace fieldstep::train
