#pragma once
#include <fieldstep/core/activations.hpp>
#include <fieldstep/embed/network.hpp>

#include <algorithm>

namespace fieldstep::embed {

/// Where a network in training has its parameters, and their gradient; copies mean the same memory.
template <class Real>
struct TrainedParameters {
  Arena<Real> weights, gradient;
};

/// A static network in training, with the memory it needs: weights, their gradient, what is prepared from the weights,
/// and what passes over at most `batch` samples leave. The constructor makes the only allocations. Fill weights(), call
/// condition(), then forward() and backward() as often as wanted.
///   Training: the network's passes, such as models::ScotTraining<Net>
template <class Training, class Exec = Kokkos::DefaultHostExecutionSpace>
class TrainingNetwork {
 public:
  using Net = typename Training::Net;
  using Real = typename Net::Out::value_type;
  using Conditions = typename Net::Conditions;

  TrainingNetwork(int batch, Activations activations, const Exec& exec = {})
      : exec_(exec),
        largest_batch_(batch),
        activations_(activations),
        weights_(Net::arena_size),
        gradient_(Net::arena_size),
        prepared_memory_(Net::prepared_size),
        workspace_(Training::workspace_size(batch, activations)) {
    clear_gradient();
  }

  static ParamTable table() { return Net::table(); }
  Real* weights() { return weights_.data(); }
  Real* gradient() { return gradient_.data(); }
  void clear_gradient() { std::fill_n(gradient_.data(), gradient_.size(), Real(0)); }
  int largest_batch() const { return largest_batch_; }

  TrainedParameters<Real> parameters() const { return {weights_, gradient_}; }
  /// Trains the parameters of another network from now on, which reads other fields with them, as AViTs do. To be
  /// followed by condition().
  void share(const TrainedParameters<Real>& other) { weights_ = other.weights, gradient_ = other.gradient; }

  /// To be called when weights or conditions have changed. Throws Error if the conditions do not fit the network.
  void condition(const Conditions& conditions) {
    w_ = bind<typename Net::Weights>(static_cast<const Real*>(weights_.data()));
    dw_ = bind<typename Training::Gradient>(gradient_.data());
    prepared_ = Net::prepare(exec_, w_, conditions, prepared_memory_.data());
  }

  /// x (batch, frames, fields, height, width), lead_times (batch), read by networks with a lead time only -> y (batch,
  /// out_fields, height, width). x and lead_times must stay as they are until backward() is done.
  void forward(int batch, const Real* x, const Real* lead_times, Real* y) {
    plan_ = Training::plan(batch, activations_, workspace_.data());
    batch_ = batch, x_ = x, lead_times_ = lead_times;
    const typename Net::Out out(y, batch);
    if constexpr (LeadTimeNetwork<Net>)
      Training::forward(exec_, w_, prepared_, in(), lead_times, out, plan_);
    else
      Training::forward(exec_, w_, prepared_, in(), out, plan_);
  }

  /// Adds the gradient of the weights to gradient(), from dy = dL/dy of the last forward(); overwrites dx, where it is
  /// not null, and adds to dlead_times, where that is not null. Once for every forward().
  void backward(const Real* dy, Real* dx = nullptr, [[maybe_unused]] Real* dlead_times = nullptr) {
    if constexpr (LeadTimeNetwork<Net>)
      Training::backward(exec_, w_, prepared_, in(), lead_times_, dy, plan_, dw_, dx, dlead_times);
    else
      Training::backward(exec_, w_, prepared_, in(), dy, plan_, dw_, dx);
  }

  /// Numbers that weights, gradient and passes occupy, known before anything is allocated.
  static constexpr std::size_t size(int batch, Activations activations) {
    return 2 * Net::arena_size + Net::prepared_size + Training::workspace_size(batch, activations);
  }

 private:
  typename Net::In in() const { return typename Net::In(x_, batch_); }

  Exec exec_;
  int largest_batch_, batch_ = 0;
  Activations activations_;
  Arena<Real> weights_, gradient_, prepared_memory_, workspace_;
  typename Net::Weights w_{};
  typename Training::Gradient dw_{};
  typename Net::Prepared prepared_{};
  typename Training::Plan plan_{};
  const Real *x_ = nullptr, *lead_times_ = nullptr;
};

}  // namespace fieldstep::embed
