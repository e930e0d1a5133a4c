#pragma once
#include <fieldstep/core/random.hpp>
#include <fieldstep/train/minibatch.hpp>
#include <fieldstep/train/rollout.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace fieldstep::train {

/// Normal noise on the initial states of every minibatch, so that a network meets states that are not of the data.
/// Minibatch i has the same in every run.
struct InputNoise {
  double deviation = 0;
  Key key{};
};

/// A configuration on minibatches of windows: what a Trainer minimises. It holds windows of one minibatch and the
/// rollout's memory; the data and the stepper are somebody else's.
template <Configuration C, Stepper S, Sampler Order, class Reference = NoReference, class Residuum = NoResiduum,
          class Exec = Kokkos::DefaultHostExecutionSpace>
class RolloutObjective {
 public:
  using Real = typename S::Real;
  using Memory = Rollout<S, Reference, Residuum, Exec>;

  /// reference and residuum: null where the configuration needs none.
  RolloutObjective(S& stepper, const Trajectories<Real>& data, const SubStacker& stacker, Order& order, C configuration,
                   Reference* reference = nullptr, Residuum* residuum = nullptr,
                   Activations activations = Activations::keep, const Exec& exec = {})
      : stepper_(stepper),
        data_(data),
        stacker_(stacker),
        order_(order),
        configuration_((configuration.check(), std::move(configuration))),
        reference_(reference),
        residuum_(residuum),
        activations_(activations),
        exec_(exec),
        rollout_(make_rollout(configuration_)),
        windows_(static_cast<std::size_t>(stacker.snapshots()) * static_cast<std::size_t>(stepper.largest_batch()) *
                 stepper.state_size()) {
    if (stepper.state_size() != data.state_size())
      fail_usage("RolloutObjective: the stepper's states have ", stepper.state_size(), " numbers, the data's ",
                 data.state_size());
    if (stacker.snapshots() < configuration_.snapshots())
      fail_usage("RolloutObjective: the windows have ", stacker.snapshots(), " snapshots, the configuration reads ",
                 configuration_.snapshots());
  }

  S& stepper() { return stepper_; }
  C& configuration() { return configuration_; }  ///< its rollout may become shorter, and longer up to the first one
  void set_noise(const InputNoise& noise) { noise_ = noise; }

  Real* weights() { return stepper_.weights(); }
  Real* gradient() { return stepper_.gradient(); }
  void clear_gradient() { stepper_.clear_gradient(); }
  void weights_changed() { stepper_.weights_changed(); }

  double add_gradient(long i) { return rollout_.add_gradient(configuration_, windows(i)); }

  /// Minibatch i; its windows are there until others are asked for.
  Windows<Real> windows(long i) {
    const Windows<Real> gathered = load(order_(i).samples);
    if (noise_.deviation > 0) add_noise(split(noise_.key, static_cast<std::uint64_t>(i), 0), gathered.samples);
    return gathered;
  }

  /// The configuration on all windows, in chunks that are weighted by their sizes: for a loss that is a mean over
  /// samples the same as in one batch. Without noise.
  double full_value() {
    stepper_.weights_changed();
    std::vector<std::int32_t> chunk(static_cast<std::size_t>(stepper_.largest_batch()));
    double sum = 0;
    for (std::int64_t first = 0; first < stacker_.size(); first += std::ssize(chunk)) {
      chunk.resize(static_cast<std::size_t>(std::min(std::int64_t{stepper_.largest_batch()}, stacker_.size() - first)));
      std::iota(chunk.begin(), chunk.end(), static_cast<std::int32_t>(first));
      sum += rollout_.value(configuration_, load(chunk)) * static_cast<double>(chunk.size());
    }
    return sum / static_cast<double>(stacker_.size());
  }

  /// Memory for another configuration of the same stepper and physics, which a callback may want to look at.
  template <Configuration Other>
  Memory make_rollout(const Other& configuration) const {
    return Memory(stepper_, reference_, residuum_, configuration.length(), activations_, exec_);
  }

 private:
  Windows<Real> load(std::span<const std::int32_t> samples) {
    if (std::ssize(samples) > stepper_.largest_batch())
      fail_usage("RolloutObjective: found a minibatch of ", samples.size(), " windows, the stepper takes ",
                 stepper_.largest_batch());
    return gather(data_, stacker_, samples, windows_.data());
  }

  void add_noise(Key key, int samples) {
    const std::size_t count = static_cast<std::size_t>(samples) * stepper_.state_size();
    for (std::size_t j = 0; j < count; ++j)
      windows_.data()[j] +=
          static_cast<Real>(noise_.deviation) * static_cast<Real>(random_normal(random_bits(key, j, count)));
  }

  S& stepper_;
  Trajectories<Real> data_;
  SubStacker stacker_;
  Order& order_;
  C configuration_;
  Reference* reference_;
  Residuum* residuum_;
  Activations activations_;
  Exec exec_;
  Memory rollout_;
  Arena<Real> windows_;
  InputNoise noise_;
};

}  // namespace fieldstep::train
