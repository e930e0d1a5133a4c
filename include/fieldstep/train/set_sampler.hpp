#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/minibatch.hpp>

#include <algorithm>
#include <cstddef>
#include <span>

namespace fieldstep::train {

/// Minibatches out of several data sets, whose samples may have different fields: each is of one set, drawn uniformly
/// among those that still have batch_size samples this epoch. An epoch ends after epoch_size minibatches, or before
/// when no set has that many left; the samples that remain are left out.
/// Source: MPP's MultisetSampler (data_utils/mixed_dset_sampler.py); the draws are ours, from the key.
class SetSampler {
 public:
  SetSampler(std::span<const std::int32_t> sizes, int batch_size, long epoch_size, Key key) : batch_size_(batch_size) {
    if (batch_size < 1 || epoch_size < 1)
      fail_usage("SetSampler: found epochs of ", epoch_size, " minibatches of ", batch_size, ", wanted at least one");
    long whole = 0;
    for (std::size_t set = 0; set < sizes.size(); ++set) {
      if (sizes[set] < batch_size)
        fail_usage("SetSampler: set ", set, " has ", sizes[set], " samples, wanted at least a minibatch of ",
                   batch_size);
      whole += sizes[set] / batch_size;
      orders_.emplace_back(sizes[set], split(key, set, sizes.size() + 1));
    }
    choices_ = split(key, sizes.size(), sizes.size() + 1);
    per_epoch_ = std::min(whole, epoch_size);
    if (per_epoch_ == 0) fail_usage("SetSampler: there is no set");
  }

  long per_epoch() const { return per_epoch_; }

  Minibatch operator()(long i) {
    if (i < 0) fail_usage("SetSampler: found minibatch ", i, ", wanted one from 0 on");
    const long epoch = i / per_epoch_, batch = i % per_epoch_;
    if (epoch != epoch_ || batch < next_) start(epoch);
    for (; next_ < batch; ++next_) draw();
    const std::size_t set = draw();
    ++next_;
    const std::size_t last = static_cast<std::size_t>(drawn_[set]) * static_cast<std::size_t>(batch_size_);
    return {.epoch = epoch,
            .batch = batch,
            .samples = orders_[set](epoch).subspan(last - static_cast<std::size_t>(batch_size_),
                                                   static_cast<std::size_t>(batch_size_)),
            .set = static_cast<int>(set)};
  }

 private:
  void start(long epoch) {
    epoch_ = epoch, next_ = 0;
    drawn_.assign(orders_.size(), 0);
  }

  /// The set of minibatch next_, counted as drawn.
  std::size_t draw() {
    remaining_.clear();
    for (std::size_t set = 0; set < orders_.size(); ++set)
      if (drawn_[set] < orders_[set].size() / batch_size_) remaining_.push_back(set);
    const auto index =
        static_cast<std::uint64_t>(epoch_) * static_cast<std::uint64_t>(per_epoch_) + static_cast<std::uint64_t>(next_);
    const std::uint64_t word = random_bits(choices_, index, 0);
    const std::size_t set = remaining_[word * remaining_.size() >> 32];
    ++drawn_[set];
    return set;
  }

  int batch_size_;
  std::vector<EpochOrder> orders_;
  Key choices_;
  long per_epoch_;
  long epoch_ = -1, next_ = 0;          // the minibatch that was drawn last, plus one
  std::vector<std::int32_t> drawn_;     // minibatches of every set in this epoch
  std::vector<std::size_t> remaining_;  // scratch
};

static_assert(Sampler<SetSampler>);

}  // namespace fieldstep::train
