#pragma once
#include <fieldstep/train/trainer.hpp>

#include <tuple>

namespace fieldstep::train {

/// Several callbacks as one, called in their order.
/// Source: trainax.callback.CompositeCallback.
template <Callback... Parts>
struct Callbacks {
  std::tuple<Parts&...> parts;
  explicit Callbacks(Parts&... all) : parts(all...) {}

  void before_step(long i, auto& goal) {
    const auto call = [&](auto& part) {
      if constexpr (requires { part.before_step(i, goal); }) part.before_step(i, goal);
    };
    std::apply([&](auto&... part) { (call(part), ...); }, parts);
  }
  bool on_step(const Update& update) {
    bool stop = false;
    std::apply([&](auto&... part) { ((stop = part.on_step(update) || stop), ...); }, parts);
    return stop;
  }
};

}  // namespace fieldstep::train
