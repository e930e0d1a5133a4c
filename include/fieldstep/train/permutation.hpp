#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/minibatch.hpp>

#include <algorithm>
#include <cstddef>

namespace fieldstep::train {

/// Every epoch goes through all samples once, in a new order; its last minibatch is smaller where they do not come out
/// even. Its numbers are trainax' own, in whole numbers where the original rounds in float32.
/// Source: trainax.PermutationMixer. Unlike there an epoch's order is drawn when it is needed, not all in advance.
class PermutationMixer {
 public:
  PermutationMixer(std::int32_t samples, long minibatches, int batch_size, Key key,
                   RandomLayout layout = RandomLayout::partitionable)
      : minibatches_(minibatches), batch_size_(std::min(batch_size, samples)), order_(samples, key, layout) {
    if (samples < 1 || minibatches < 0 || batch_size < 1)
      fail_usage("PermutationMixer: found ", samples, " samples, ", minibatches, " minibatches of ", batch_size,
                 ", wanted at least one sample in one minibatch");
    per_epoch_ = (samples + batch_size_ - 1) / batch_size_;
  }

  /// What was asked for, or the number of samples where those are fewer.
  int batch_size() const { return batch_size_; }
  long per_epoch() const { return per_epoch_; }
  long epochs() const { return (minibatches_ + per_epoch_ - 1) / per_epoch_; }

  Minibatch operator()(long i) {
    if (i < 0 || i >= minibatches_)
      fail_usage("PermutationMixer: found minibatch ", i, ", wanted one of 0 to ", minibatches_ - 1);
    const long epoch = i / per_epoch_, batch = i % per_epoch_;
    const std::span<const std::int32_t> order = order_(epoch);
    const std::size_t first = static_cast<std::size_t>(batch) * static_cast<std::size_t>(batch_size_);
    return {.epoch = epoch,
            .batch = batch,
            .samples = order.subspan(first, std::min(static_cast<std::size_t>(batch_size_), order.size() - first))};
  }

 private:
  long minibatches_, per_epoch_ = 1;
  int batch_size_;
  EpochOrder order_;
};

static_assert(Sampler<PermutationMixer>);

}  // namespace fieldstep::train
