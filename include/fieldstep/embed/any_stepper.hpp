#pragma once
#include <fieldstep/core/param_table.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <utility>

namespace fieldstep::embed {

/// Any stepper that computes in float behind one type (train::Stepper): what is built on it, such as a rollout, is
/// compiled once for all networks of a program. Move-only; passes run asynchronously as those of the stepper do.
class AnyStepper {
 public:
  using Real = float;

  template <class S, class... Arguments>
  static AnyStepper make(Arguments&&... arguments) {
    static_assert(std::same_as<typename S::Real, float>, "AnyStepper: compiled steppers compute in float");
    static constexpr Operations operations{
        .weights = [](void* held) { return static_cast<S*>(held)->weights(); },
        .gradient = [](void* held) { return static_cast<S*>(held)->gradient(); },
        .clear_gradient = [](void* held) { static_cast<S*>(held)->clear_gradient(); },
        .weights_changed = [](void* held) { static_cast<S*>(held)->weights_changed(); },
        .infer = [](void* held, int n, const float* u, float* next) { static_cast<S*>(held)->forward(n, u, next); },
        .forward = [](void* held, int n, const float* u, float* next,
                      float* tape) { static_cast<S*>(held)->forward(n, u, next, tape); },
        .backward = [](void* held, int n, const float* u, float* tape, const float* g,
                       float* du) { static_cast<S*>(held)->backward(n, u, tape, g, du); }};
    Owner held(new S(std::forward<Arguments>(arguments)...), [](void* s) { delete static_cast<S*>(s); });
    const S& made = *static_cast<const S*>(held.get());
    const Sizes sizes{made.state_size(), made.tape_size(), made.largest_batch()};
    return AnyStepper(std::move(held), operations, sizes, made.table());
  }

  std::size_t state_size() const { return sizes_.state; }
  std::size_t tape_size() const { return sizes_.tape; }
  int largest_batch() const { return sizes_.batch; }
  ParamTable table() const { return table_; }
  float* weights() { return operations_->weights(held_.get()); }
  float* gradient() { return operations_->gradient(held_.get()); }
  void clear_gradient() { operations_->clear_gradient(held_.get()); }
  void weights_changed() { operations_->weights_changed(held_.get()); }

  void forward(int samples, const float* u, float* next) { operations_->infer(held_.get(), samples, u, next); }
  void forward(int samples, const float* u, float* next, float* tape) {
    operations_->forward(held_.get(), samples, u, next, tape);
  }
  void backward(int samples, const float* u, float* tape, const float* g, float* du) {
    operations_->backward(held_.get(), samples, u, tape, g, du);
  }

 private:
  struct Operations {
    float* (*weights)(void*);
    float* (*gradient)(void*);
    void (*clear_gradient)(void*);
    void (*weights_changed)(void*);
    void (*infer)(void*, int, const float*, float*);
    void (*forward)(void*, int, const float*, float*, float*);
    void (*backward)(void*, int, const float*, float*, const float*, float*);
  };
  struct Sizes {
    std::size_t state, tape;
    int batch;
  };
  using Owner = std::unique_ptr<void, void (*)(void*)>;

  AnyStepper(Owner held, const Operations& operations, const Sizes& sizes, ParamTable table)
      : held_(std::move(held)), operations_(&operations), sizes_(sizes), table_(table) {}

  Owner held_;
  const Operations* operations_;
  Sizes sizes_;
  ParamTable table_;
};

}  // namespace fieldstep::embed
