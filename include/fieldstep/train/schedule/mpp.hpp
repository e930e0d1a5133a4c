#pragma once
#include <fieldstep/train/schedule.hpp>

// The learning rates of MPP's trainer (train_basic.py, scheduler: cosine) as they are, with their slips.
namespace fieldstep::train {

/// Where the configuration's learning rate is negative, as in the shipped ones, lr = -1: D-Adaptation finds the rate,
/// and this is a factor, from 1 along half a cosine.
///   eta = end + (1 - end) (1 + cos(pi t / steps)) / 2,  end = lr / 100
/// Slips: the end has lr's sign, so the factor ends at -0.01, not at 0.01; and `steps` counts minibatches, epochs *
/// epoch_size, while t counts updates, of which there are accum_grad times less: a fifth of the cosine is seen.
struct MppAnnealing {
  long steps;
  double lr = -1;

  double operator()(long t) const {
    const double end = lr / 100;
    return end + (1 - end) * detail::half_cosine(static_cast<double>(t) / static_cast<double>(steps));
  }
};

/// Where it is positive: linear from lr / 100 to lr in `warmup` updates, then along a cosine to lr / 100 and back.
/// Slip: `period` is the configuration's max_epochs, but counts updates: the rate swings, once in 2 * period.
struct MppWarmupCosine {
  double lr;
  long warmup = 1000, period = 500;

  double operator()(long t) const {
    const double low = lr / 100;
    if (t < warmup) return LinearDecay{low, lr, warmup}(t);
    return low + (lr - low) * detail::half_cosine(static_cast<double>(t - warmup) / static_cast<double>(period));
  }
};

}  // namespace fieldstep::train
