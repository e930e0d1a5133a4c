#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/param_table.hpp>

#include <Kokkos_Core.hpp>
#include <concepts>
#include <cstddef>

namespace fieldstep::embed {

/// A network whose shapes are part of its type, such as models::AViT or models::ScOT: it owns nothing and computes in
/// given memory.
template <class N>
concept StaticNetwork = requires(typename N::Out::value_type* memory, const typename N::Conditions& conditions) {
  { N::table() } -> std::same_as<ParamTable>;
  {
    N::prepare(Kokkos::DefaultHostExecutionSpace(), typename N::Weights{}, conditions, memory)
    } -> std::same_as<typename N::Prepared>;
  requires N::arena_size >
  0 && N::prepared_size > 0 && N::workspace_size > 0;
  requires N::frames >
  0 && N::fields > 0 && N::out_fields > 0 && N::height > 0 && N::width > 0;
};

/// One that is told for every sample how far ahead to look, such as models::ScOT.
template <class N>
concept LeadTimeNetwork = StaticNetwork<N> && requires(typename N::Out::value_type* memory) {
  N::forward(Kokkos::DefaultHostExecutionSpace(), typename N::Weights{}, typename N::Prepared{},
             typename N::In(memory, 1), memory, typename N::Out(memory, 1), memory);
};

/// A static network with the memory it needs: weights, what is prepared from them, workspace. The constructor makes the
/// only allocations. Fill weights(), call condition(), then forward() as often as wanted.
template <StaticNetwork Net, class Exec = Kokkos::DefaultHostExecutionSpace>
class Network {
 public:
  using Real = typename Net::Out::value_type;
  using Conditions = typename Net::Conditions;

  static constexpr int frames = Net::frames;
  static constexpr std::size_t points = static_cast<std::size_t>(Net::height) * static_cast<std::size_t>(Net::width);
  static constexpr std::size_t frame_size = points * Net::fields;    ///< numbers of a frame that the network reads
  static constexpr std::size_t out_size = points * Net::out_fields;  ///< numbers of a frame that it computes

  explicit Network(const Exec& exec = {})
      : exec_(exec), weights_(Net::arena_size), prepared_memory_(Net::prepared_size), workspace_(Net::workspace_size) {}

  /// What a loader or an initialiser fills, not initialised before: io::load_weights(path, table(), weights()).
  static ParamTable table() { return Net::table(); }
  Real* weights() { return weights_.data(); }

  /// To be called when weights or conditions have changed. Throws Error if the conditions do not fit the network.
  void condition(const Conditions& conditions) {
    bound_ = bind<typename Net::Weights>(static_cast<const Real*>(weights_.data()));
    prepared_ = Net::prepare(exec_, bound_, conditions, prepared_memory_.data());
  }

  /// x (batch, frames, fields, height, width) -> y (batch, fields, height, width). Allocates nothing; a sample's bits
  /// depend neither on the batch it is in nor on the number of threads.
  void forward(int batch, const Real* x, Real* y) const noexcept requires(!LeadTimeNetwork<Net>) {
    Net::forward(exec_, bound_, prepared_, typename Net::In(x, batch), typename Net::Out(y, batch), workspace_.data());
  }
  /// The same with the lead time of every sample, in the units of training.
  void forward(int batch, const Real* x, const Real* lead_times, Real* y) const noexcept requires LeadTimeNetwork<Net> {
    Net::forward(exec_, bound_, prepared_, typename Net::In(x, batch), lead_times, typename Net::Out(y, batch),
                 workspace_.data());
  }

 private:
  Exec exec_;
  Arena<Real> weights_, prepared_memory_, workspace_;
  typename Net::Weights bound_{};
  typename Net::Prepared prepared_{};
};

}  // namespace fieldstep::embed
