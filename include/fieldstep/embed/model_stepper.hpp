#pragma once
#include <fieldstep/core/activations.hpp>
#include <fieldstep/embed/network.hpp>

#include <algorithm>
#include <cstddef>

namespace fieldstep::embed {

/// A model in training as a map of a state to the next (train::Stepper). A state is what the model reads: a frame, or
/// for a network with a history all of its frames, of which the step drops the oldest and appends the forecast.
///   state: (frames, fields, height, width);  next = (u_2, ..., u_frames, f(u))
/// A model with a lead time, such as models::ScOT, is always asked for the same one. What the conditions point to must
/// live as long.
///   Training: the model's passes, such as models::ScotTraining<Net>
template <class Training, class Exec = Kokkos::DefaultHostExecutionSpace>
class ModelStepper {
 public:
  using Net = typename Training::Net;
  using Real = typename Net::Out::value_type;
  using Conditions = typename Net::Conditions;
  static_assert(Net::fields == Net::out_fields, "ModelStepper: the model must compute the fields that it reads");

  /// activations: what a tape holds, as in Training::plan.
  ModelStepper(int batch, const Conditions& conditions, Real lead_time = 1, Activations activations = Activations::keep,
               const Exec& exec = {})
      : exec_(exec),
        batch_(batch),
        conditions_(conditions),
        activations_(activations),
        weights_(Net::arena_size),
        gradient_(Net::arena_size),
        prepared_memory_(Net::prepared_size),
        lead_times_(static_cast<std::size_t>(batch)),
        forecast_(static_cast<std::size_t>(batch) * frame_size),
        own_tape_(tape_size()) {
    std::fill_n(lead_times_.data(), lead_times_.size(), lead_time);
    clear_gradient();
  }

  std::size_t state_size() const { return Net::frames * frame_size; }
  int largest_batch() const { return batch_; }
  std::size_t tape_size() const { return Training::workspace_size(batch_, activations_); }
  ParamTable table() const { return Net::table(); }
  Real* weights() { return weights_.data(); }
  Real* gradient() { return gradient_.data(); }
  void clear_gradient() { std::fill_n(gradient_.data(), gradient_.size(), Real(0)); }
  void weights_changed() { prepared_for_weights_ = false; }

  void forward(int samples, const Real* u, Real* next) { forward(samples, u, next, own_tape_.data()); }
  void forward(int samples, const Real* u, Real* next, Real* tape) {
    if (!prepared_for_weights_) prepare();
    auto plan = Training::plan(samples, activations_, tape);
    Real* forecast = Net::frames == 1 ? next : forecast_.data();
    const typename Net::Out out(forecast, samples);
    if constexpr (LeadTimeNetwork<Net>)
      Training::forward(exec_, w_, prepared_, in(samples, u), lead_times_.data(), out, plan);
    else
      Training::forward(exec_, w_, prepared_, in(samples, u), out, plan);
    for (int s = 0; Net::frames > 1 && s < samples; ++s) {
      Real* end = std::copy_n(u + index(s) * state_size() + frame_size, state_size() - frame_size,
                              next + index(s) * state_size());
      std::copy_n(forecast + index(s) * frame_size, frame_size, end);
    }
  }

  void backward(int samples, const Real* u, Real* tape, const Real* g, Real* du) {
    auto plan = Training::plan(samples, activations_, tape);
    const std::size_t older = state_size() - frame_size;
    const Real* dforecast = g;
    for (int s = 0; Net::frames > 1 && s < samples; ++s)
      std::copy_n(g + index(s) * state_size() + older, frame_size, forecast_.data() + index(s) * frame_size);
    if (Net::frames > 1) dforecast = forecast_.data();
    if constexpr (LeadTimeNetwork<Net>)
      Training::backward(exec_, w_, prepared_, in(samples, u), lead_times_.data(), dforecast, plan, dw_, du, nullptr);
    else  // also through the statistics that normalise the input, which training on pairs takes for constants
      Training::backward(exec_, w_, prepared_, in(samples, u), dforecast, plan, dw_, du, {},
                         Training::exact_derivative);
    for (int s = 0; du && s < samples; ++s) {  // the frames that were only moved
      const Real* moved = g + index(s) * state_size();
      Real* to = du + index(s) * state_size() + frame_size;
      for (std::size_t i = 0; i < older; ++i) to[i] += moved[i];
    }
  }

 private:
  static constexpr std::size_t frame_size = static_cast<std::size_t>(Net::fields) *
                                            static_cast<std::size_t>(Net::height) *
                                            static_cast<std::size_t>(Net::width);
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  static typename Net::In in(int samples, const Real* u) { return typename Net::In(u, samples); }

  void prepare() {
    w_ = bind<typename Net::Weights>(static_cast<const Real*>(weights_.data()));
    dw_ = bind<typename Training::Gradient>(gradient_.data());
    prepared_ = Net::prepare(exec_, w_, conditions_, prepared_memory_.data());
    prepared_for_weights_ = true;
  }

  Exec exec_;
  int batch_;
  Conditions conditions_;
  Activations activations_;
  Arena<Real> weights_, gradient_, prepared_memory_, lead_times_;
  Arena<Real> forecast_;  // scratch: the newest frames of a batch
  Arena<Real> own_tape_;
  typename Net::Weights w_{};
  typename Training::Gradient dw_{};
  typename Net::Prepared prepared_{};
  bool prepared_for_weights_ = false;
};

}  // namespace fieldstep::embed
