#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/train/minibatch.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace fieldstep::train {

/// Sizes of the samples of one data set.
struct SampleShape {
  std::size_t input;     ///< numbers that a network reads
  int channels, points;  ///< of what it computes

  std::size_t output() const { return static_cast<std::size_t>(channels) * static_cast<std::size_t>(points); }
};

/// Samples to learn from: what a network reads, the lead time where it reads one, and what it is to compute. gather()
/// puts those of a minibatch one after the other; impose_known() puts into y (samples, channels, points) what is known
/// without a forecast and no error can be made of.
template <class D, class Real>
concept TrainingData = requires(D& data, int set, const Minibatch& minibatch, Real* to, const Real* target) {
  { data.shape(set) } -> std::same_as<SampleShape>;
  { data.sets() } -> std::same_as<int>;
  data.gather(minibatch, to, to, to);
  data.impose_known(minibatch, target, to);
};

/// A network in training, such as embed::TrainingNetwork; condition(set) prepares it for the samples of one data set.
template <class N, class Real>
concept TrainedNetwork = requires(N& network, int set, const Real* x, Real* y) {
  { network.weights() } -> std::same_as<Real*>;
  { network.gradient() } -> std::same_as<Real*>;
  network.clear_gradient();
  network.condition(set);
  network.forward(set, x, x, y);
  network.backward(x);
};

/// One step of a network against the data: gather, forward, loss, backward.
///   loss(samples, channels, points, y, target, dy or null) -> double
template <class Network, class Data, Sampler Order, class Loss>
class Regression {
 public:
  using Real = std::remove_cvref_t<decltype(*std::declval<Network&>().weights())>;
  static_assert(TrainedNetwork<Network, Real>, "Regression: the first argument must be a TrainedNetwork");
  static_assert(TrainingData<Data, Real>, "Regression: the second argument must be TrainingData");

  Regression(Network& network, Data& data, Order& order, const Loss& loss, int largest_batch)
      : network_(network), data_(data), order_(order), loss_(loss) {
    std::size_t input = 0, output = 0;
    for (int set = 0; set < data.sets(); ++set)
      input = std::max(input, data.shape(set).input), output = std::max(output, data.shape(set).output());
    const auto n = static_cast<std::size_t>(largest_batch);
    x_ = Arena<Real>(n * input), lead_times_ = Arena<Real>(n);
    y_ = Arena<Real>(n * output), target_ = Arena<Real>(n * output), dy_ = Arena<Real>(n * output);
  }

  Real* weights() { return network_.weights(); }
  Real* gradient() { return network_.gradient(); }
  void clear_gradient() { network_.clear_gradient(); }
  void weights_changed() { prepared_for_ = -1; }

  /// The loss of minibatch i of the run; its gradient is added to gradient().
  double add_gradient(long i) {
    const Minibatch minibatch = order_(i);
    const double loss = evaluate(minibatch, dy_.data());
    network_.backward(dy_.data());
    return loss;
  }

  /// The loss alone, for validation. The forecast and what it should be are there until the next pass.
  double evaluate(const Minibatch& minibatch) { return evaluate(minibatch, nullptr); }
  const Real* forecast() const { return y_.data(); }
  const Real* target() const { return target_.data(); }

 private:
  double evaluate(const Minibatch& minibatch, Real* dy) {
    if (minibatch.set != prepared_for_) network_.condition(prepared_for_ = minibatch.set);
    const auto [input, channels, points] = data_.shape(minibatch.set);
    const int samples = static_cast<int>(minibatch.samples.size());
    data_.gather(minibatch, x_.data(), lead_times_.data(), target_.data());
    network_.forward(samples, x_.data(), lead_times_.data(), y_.data());
    data_.impose_known(minibatch, target_.data(), y_.data());
    return loss_(samples, channels, points, y_.data(), target_.data(), dy);
  }

  Network& network_;
  Data& data_;
  Order& order_;
  Loss loss_;
  Arena<Real> x_, lead_times_, y_, target_, dy_;
  int prepared_for_ = -1;
};

}  // namespace fieldstep::train
