#pragma once
#include <fieldstep/embed/conditions.hpp>
#include <fieldstep/embed/training_network.hpp>

#include <concepts>
#include <memory>
#include <utility>

namespace fieldstep::embed {

/// Any static network in training behind one type. Move-only; computes as TrainingNetwork does.
class TrainableModel {
 public:
  /// Translate turns Conditions into those of the network whose passes Training are.
  template <class Training, auto Translate>
  static TrainableModel make(int batch, Activations activations) {
    using Held = TrainingNetwork<Training>;
    static_assert(std::same_as<typename Held::Real, float>, "TrainableModel: compiled models compute in float");
    static constexpr Operations operations{
        .weights = [](void* held) { return static_cast<Held*>(held)->weights(); },
        .gradient = [](void* held) { return static_cast<Held*>(held)->gradient(); },
        .clear_gradient = [](void* held) { static_cast<Held*>(held)->clear_gradient(); },
        .parameters = [](void* held) { return static_cast<Held*>(held)->parameters(); },
        .share = [](void* held, const TrainedParameters<float>& other) { static_cast<Held*>(held)->share(other); },
        .condition = [](void* held, const Conditions& c) { static_cast<Held*>(held)->condition(Translate(c)); },
        .forward = [](void* held, int n, const float* x, const float* lead_times,
                      float* y) { static_cast<Held*>(held)->forward(n, x, lead_times, y); },
        .backward = [](void* held, const float* dy, float* dx,
                       float* dlead_times) { static_cast<Held*>(held)->backward(dy, dx, dlead_times); }};
    return TrainableModel(Owner(new Held(batch, activations), [](void* held) { delete static_cast<Held*>(held); }),
                          operations, batch);
  }

  /// In the order of ModelEntry::table; both have ModelEntry::weight_bytes.
  float* weights() { return operations_->weights(held_.get()); }
  float* gradient() { return operations_->gradient(held_.get()); }
  void clear_gradient() { operations_->clear_gradient(held_.get()); }
  int largest_batch() const { return largest_batch_; }

  /// Trains the parameters of `other`, a network with the same table, instead of its own from now on: AViTs that read
  /// different fields. To be followed by condition().
  void share_parameters(const TrainableModel& other) {
    operations_->share(held_.get(), other.operations_->parameters(other.held_.get()));
  }

  /// To be called when weights or conditions have changed. Throws Error if the conditions do not fit.
  void condition(const Conditions& conditions) { operations_->condition(held_.get(), conditions); }
  /// x (batch, frames, fields, height, width), lead_times (batch), read where ModelEntry::lead_time says so -> y
  /// (batch, out_fields, height, width). x and lead_times must stay as they are until backward() is done.
  void forward(int batch, const float* x, const float* lead_times, float* y) {
    operations_->forward(held_.get(), batch, x, lead_times, y);
  }
  /// Adds to gradient(), from dy = dL/dy of the last forward(); overwrites dx and adds to dlead_times where they are
  /// not null. Once for every forward().
  void backward(const float* dy, float* dx = nullptr, float* dlead_times = nullptr) {
    operations_->backward(held_.get(), dy, dx, dlead_times);
  }

 private:
  struct Operations {
    float* (*weights)(void*);
    float* (*gradient)(void*);
    void (*clear_gradient)(void*);
    TrainedParameters<float> (*parameters)(void*);
    void (*share)(void*, const TrainedParameters<float>&);
    void (*condition)(void*, const Conditions&);
    void (*forward)(void*, int, const float*, const float*, float*);
    void (*backward)(void*, const float*, float*, float*);
  };
  using Owner = std::unique_ptr<void, void (*)(void*)>;

  TrainableModel(Owner held, const Operations& operations, int largest_batch)
      : held_(std::move(held)), operations_(&operations), largest_batch_(largest_batch) {}

  Owner held_;
  const Operations* operations_;
  int largest_batch_;
};

}  // namespace fieldstep::embed
