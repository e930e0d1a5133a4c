#pragma once
#include <fieldstep/train/schedule.hpp>

#include <algorithm>
#include <cmath>

namespace fieldstep::train {

/// Poseidon's: linear from 0 to peak over a share of all updates, then along half a cosine to 0 at t = total.
///   t < W: peak t / W,  else peak (1 + cos(pi (t - W) / max(1, total - W))) / 2,  W = ceil(warmup_ratio total)
/// Unlike WarmupCosine it does not stay at 0 behind the end: the cosine comes back.
/// Source: transformers' get_cosine_schedule_with_warmup, as scOT/train.py uses it.
struct PoseidonCosine {
  double peak;
  long total;
  double warmup_ratio = 0;

  double operator()(long t) const {
    const long warmup = static_cast<long>(std::ceil(warmup_ratio * static_cast<double>(total)));
    if (t < warmup) return peak * static_cast<double>(t) / static_cast<double>(warmup);
    return peak *
           detail::half_cosine(static_cast<double>(t - warmup) / static_cast<double>(std::max(1L, total - warmup)));
  }
};

}  // namespace fieldstep::train
