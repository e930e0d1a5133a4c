#pragma once
#include <fieldstep/embed/history.hpp>
#include <fieldstep/embed/network.hpp>

#include <algorithm>

namespace fieldstep::embed {

/// A network that continues a simulation: it remembers the last frames and computes the next one.
///   Emulator<models::AViT<models::AvitTi, Grid<16, 128, 128, 3>>> emulator;
///   io::load_weights("avit_ti.safetensors", emulator.table(), emulator.weights());
///   emulator.condition({.labels = labels});
///   ...                                       // in the solver's loop
///   emulator.observe(frame);                  // (fields, height, width)
///   if (emulator.ready()) emulator.step(next);
/// Nothing is allocated after construction, and nothing throws after condition().
template <StaticNetwork Net, class Exec = Kokkos::DefaultHostExecutionSpace>
class Emulator {
 public:
  using Real = typename Network<Net, Exec>::Real;
  using Conditions = typename Net::Conditions;
  static constexpr int frames = Network<Net, Exec>::frames;
  static constexpr std::size_t frame_size = Network<Net, Exec>::frame_size;  ///< numbers of all fields of a frame

  explicit Emulator(const Exec& exec = {}) : network_(exec), history_(frames, frame_size) {}

  /// What a loader or an initialiser fills, not initialised before.
  static ParamTable table() { return Net::table(); }
  Real* weights() { return network_.weights(); }

  /// To be called when weights or conditions have changed. Throws Error if the conditions do not fit the network.
  void condition(const Conditions& conditions) { network_.condition(conditions); }

  /// Adds a frame of the simulation to the window.
  void observe(const Real* frame) noexcept { history_.observe(frame); }
  /// Whether `frames` frames were observed.
  bool ready() const noexcept { return history_.ready(); }
  /// Forgets all frames, for another simulation.
  void restart() noexcept { history_.clear(); }

  /// The frame after the window, which becomes its newest: calling step again continues the forecast.
  void step(Real* next) noexcept {
    network_.forward(1, history_.window(), history_.next());
    std::copy_n(history_.next(), frame_size, next);
    history_.advance();
  }

 private:
  Network<Net, Exec> network_;
  History<Real> history_;
};

}  // namespace fieldstep::embed
