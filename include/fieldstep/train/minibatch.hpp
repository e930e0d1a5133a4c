#pragma once
#include <fieldstep/core/random.hpp>

#include <concepts>
#include <cstdint>
#include <span>
#include <vector>

namespace fieldstep::train {

/// The samples that one pass computes on.
struct Minibatch {
  long epoch, batch;                      ///< which batch of which epoch, both from 0
  std::span<const std::int32_t> samples;  ///< until the sampler is called again
  int set = 0;                            ///< of several data sets, the one that they are all of
};

/// Minibatch i = 0, 1, ... of a run: a function of a key and of i, so that i is all a run needs to go on where it
/// stopped. Calls in order are cheap.
template <class S>
concept Sampler = requires(S& sampler, long i) {
  { sampler(i) } -> std::same_as<Minibatch>;
};

/// An order of 0..n-1 for every epoch: order e is random_permutation(key_e, n), key_{e+1} = split(key_e)[0].
/// trainax' quirk: the same key feeds the permutation, so for n > 1625, where it sorts twice, the second round of an
/// epoch sorts by the same random words as the first of the next.
class EpochOrder {
 public:
  EpochOrder(std::int32_t n, Key key, RandomLayout layout = RandomLayout::partitionable)
      : n_(n), first_key_(key), layout_(layout) {}

  std::int32_t size() const { return n_; }

  /// Drawn when it is asked for; one epoch's is kept.
  std::span<const std::int32_t> operator()(long epoch) {
    if (epoch == epoch_) return order_;
    if (epoch_ < 0 || epoch < epoch_) epoch_ = 0, key_ = first_key_;
    for (; epoch_ < epoch; ++epoch_) key_ = split(key_, 0, 2, layout_);
    order_ = random_permutation(key_, n_, layout_);
    return order_;
  }

 private:
  std::int32_t n_;
  Key first_key_, key_{};
  RandomLayout layout_;
  long epoch_ = -1;
  std::vector<std::int32_t> order_;
};

}  // namespace fieldstep::train
