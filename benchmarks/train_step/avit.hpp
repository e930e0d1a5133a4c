#pragma once
#include <benchmarks/train_step/cases.hpp>
#include <fieldstep/core/init.hpp>
#include <fieldstep/embed/network.hpp>
#include <fieldstep/embed/training_network.hpp>
#include <fieldstep/models/avit_training.hpp>

#include <array>
#include <memory>

namespace fieldstep::benchmarks {

/// AViT at batch 1, 4 frames of 3 fields, 128 x 128: a forward pass of inference, one of training, both passes of
/// training, and both where the blocks run again. A backward pass counts as two forward passes.
template <class Config>
void add_avit_training(const std::string& name, const Exec& exec, const std::string& suffix) {
  using Net = models::AViT<Config, Grid<4, 128, 128, 3>>;
  using Training = embed::TrainingNetwork<models::AvitTraining<Net>>;
  const auto add = [=](const std::string& what, double forwards, const auto& make, const auto& run) {
    add_case(name + "/4x3x128x128/" + what + suffix, exec, {.flop = forwards * Net::flop(1)}, [=] {
      const auto network = make();
      initialise(Net::table(), network->weights(), make_key(0));
      network->condition({.labels = std::array{0, 1, 2}});
      const Arena<float> x = some_numbers(static_size<typename Net::In>());
      const Arena<float> y(static_size<typename Net::Out>()), dy = some_numbers(y.size());
      return [=] { run(*network, x.data(), y.data(), dy.data()); };
    });
  };
  const auto keep = [=] { return std::make_shared<Training>(1, Activations::keep, exec); };
  const auto recompute = [=] { return std::make_shared<Training>(1, Activations::recompute, exec); };
  const auto forward = [](auto& network, const float* x, float* y, const float*) { network.forward(1, x, nullptr, y); };
  const auto both = [](auto& network, const float* x, float* y, const float* dy) {
    network.forward(1, x, nullptr, y);
    network.backward(dy);
  };
  add(
      "inference", 1, [=] { return std::make_shared<embed::Network<Net>>(exec); },
      [](auto& network, const float* x, float* y, const float*) { network.forward(1, x, y); });
  add("forward", 1, keep, forward);
  add("forward and backward", 3, keep, both);
  add("the same, computing again", 3, recompute, both);
}

}  // namespace fieldstep::benchmarks
