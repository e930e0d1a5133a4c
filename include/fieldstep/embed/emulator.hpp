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
/// A network that reads a lead time is told it in every step: emulator.step(lead_time, next). Fields that it reads but
/// does not compute, the last ones, stay as they were observed. Fields are in the units of the network's training.
/// Nothing is allocated after construction, and nothing throws after condition().
template <StaticNetwork Net, class Exec = Kokkos::DefaultHostExecutionSpace>
class Emulator {
 public:
  using Real = typename Network<Net, Exec>::Real;
  using Conditions = typename Net::Conditions;
  static constexpr int frames = Network<Net, Exec>::frames;
  static constexpr std::size_t frame_size = Network<Net, Exec>::frame_size;  ///< numbers of a frame to observe
  static constexpr std::size_t out_size = Network<Net, Exec>::out_size;      ///< numbers of a forecast
  static_assert(out_size <= frame_size, "Emulator: a network that computes more fields than it reads cannot go on");

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
  void step(Real* next) noexcept requires(!LeadTimeNetwork<Net>) {
    network_.forward(1, history_.window(), history_.next());
    advance(next);
  }
  /// The frame a lead time after the window's.
  void step(Real lead_time, Real* next) noexcept requires LeadTimeNetwork<Net> {
    network_.forward(1, history_.window(), &lead_time, history_.next());
    advance(next);
  }

 private:
  void advance(Real* next) noexcept {
    const Real* newest = history_.window() + (frames - 1) * frame_size;
    std::copy(newest + out_size, newest + frame_size, history_.next() + out_size);
    std::copy_n(history_.next(), out_size, next);
    history_.advance();
  }

  Network<Net, Exec> network_;
  History<Real> history_;
};

}  // namespace fieldstep::embed
