#pragma once
#include <benchmarks/step/cases.hpp>
#include <fieldstep/core/init.hpp>
#include <fieldstep/models/avit.hpp>

#include <array>

namespace fieldstep::benchmarks {

/// A forward step of AViT: batch 1, 4 frames of 3 fields, 128 x 128. Bytes are those of the weights, read once.
template <class Config>
void add_avit(const std::string& name, const Exec& exec, const std::string& suffix) {
  using Net = models::AViT<Config, Grid<4, 128, 128, 3>>;
  struct Ready {
    Arena<float> weights{Net::arena_size}, memory{Net::prepared_size}, workspace{Net::workspace_size};
    Arena<float> x = some_numbers(static_size<typename Net::In>()), y{static_size<typename Net::Out>()};
    typename Net::Weights w = bind<typename Net::Weights>(static_cast<const float*>(weights.data()));
    typename Net::Prepared prepared;
    Ready() {
      initialise(Net::table(), weights.data(), make_key(0));
      prepared = Net::prepare(Exec(), w, {.labels = std::array{0, 1, 2}}, memory.data());
    }
  };
  add_case(name + "/4x3x128x128" + suffix, exec, {Net::flop(1), 4. * Net::arena_size}, [=] {
    return [exec, net = Ready()] {
      Net::forward(exec, net.w, net.prepared, typename Net::In(net.x.data(), 1), typename Net::Out(net.y.data(), 1),
                   net.workspace.data());
    };
  });
}

}  // namespace fieldstep::benchmarks
