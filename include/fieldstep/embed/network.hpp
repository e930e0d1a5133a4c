#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/param_table.hpp>

#include <Kokkos_Core.hpp>
#include <concepts>
#include <cstddef>

namespace fieldstep::embed {

/// A network whose shapes are part of its type, such as models::AViT: it owns nothing and computes in given memory.
template <class N>
concept StaticNetwork = requires(typename N::Out::value_type* memory, const typename N::Conditions& conditions) {
  { N::table() } -> std::same_as<ParamTable>;
  { N::prepare(typename N::Weights{}, conditions, memory) } -> std::same_as<typename N::Prepared>;
  requires N::arena_size >
  0 && N::prepared_size > 0 && N::workspace_size > 0;
};

/// A static network with the memory it needs: weights, what is prepared from them, workspace. The constructor makes the
/// only allocations. Fill weights(), call condition(), then forward() as often as wanted.
template <StaticNetwork Net, class Exec = Kokkos::DefaultHostExecutionSpace>
class Network {
 public:
  using Real = typename Net::Out::value_type;
  using Conditions = typename Net::Conditions;

  static constexpr int frames = static_cast<int>(Net::In::static_extent(1));
  static constexpr std::size_t frame_size = static_size<typename Net::Out>();  ///< numbers of all fields of a frame

  explicit Network(const Exec& exec = {})
      : exec_(exec), weights_(Net::arena_size), prepared_memory_(Net::prepared_size), workspace_(Net::workspace_size) {}

  /// What a loader or an initialiser fills, not initialised before: io::load_weights(path, table(), weights()).
  static ParamTable table() { return Net::table(); }
  Real* weights() { return weights_.data(); }

  /// To be called when weights or conditions have changed. Throws Error if the conditions do not fit the network.
  void condition(const Conditions& conditions) {
    bound_ = bind<typename Net::Weights>(static_cast<const Real*>(weights_.data()));
    prepared_ = Net::prepare(bound_, conditions, prepared_memory_.data());
  }

  /// x (batch, frames, fields, height, width) -> y (batch, fields, height, width). Allocates nothing; a sample's bits
  /// depend neither on the batch it is in nor on the number of threads.
  void forward(int batch, const Real* x, Real* y) const noexcept {
    Net::forward(exec_, bound_, prepared_, typename Net::In(x, batch), typename Net::Out(y, batch), workspace_.data());
  }

 private:
  Exec exec_;
  Arena<Real> weights_, prepared_memory_, workspace_;
  typename Net::Weights bound_{};
  typename Net::Prepared prepared_{};
};

}  // namespace fieldstep::embed
