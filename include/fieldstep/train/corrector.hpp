#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/ops/add.hpp>
#include <fieldstep/train/stepper.hpp>

#include <algorithm>
#include <cstddef>

namespace fieldstep::train {

/// How a network g corrects a coarse solver C.
enum class Correction {
  parallel,                ///< C(u) + g(u)
  sequential,              ///< g(C(u))
  sequential_with_bypass,  ///< C(u) + g(C(u))
};

/// A network that corrects a coarse solver: a stepper itself. The solver has no trained parameters, but gradients go
/// through its states.
/// Source: apebench's "correct;parallel", "correct;sequential", "correct;sequential_with_bypass".
template <Stepper Network, class Coarse, class Exec = Kokkos::DefaultHostExecutionSpace>
class Corrector {
 public:
  using Real = typename Network::Real;
  static_assert(DifferentiableReference<Coarse, Real>,
                "Corrector: the solver must have forward(samples, u, next) and vjp(samples, u, g, du)");

  Corrector(Correction mode, Network& network, Coarse& coarse, const Exec& exec = {})
      : exec_(exec),
        mode_(mode),
        network_(network),
        coarse_(coarse),
        one_(batch_size()),
        two_(batch_size()),
        coarse_state_(batch_size()) {}

  std::size_t state_size() const { return network_.state_size(); }
  int largest_batch() const { return network_.largest_batch(); }
  std::size_t tape_size() const { return batch_size() + network_.tape_size(); }  // C(u) first
  ParamTable table() const { return network_.table(); }
  Real* weights() { return network_.weights(); }
  Real* gradient() { return network_.gradient(); }
  void clear_gradient() { network_.clear_gradient(); }
  void weights_changed() { network_.weights_changed(); }

  void forward(int samples, const Real* u, Real* next) { step(samples, u, next, coarse_state_.data(), nullptr); }
  void forward(int samples, const Real* u, Real* next, Real* tape) {
    step(samples, u, next, tape, tape + batch_size());
  }

  void backward(int samples, const Real* u, Real* tape, const Real* g, Real* du) {
    const std::size_t count = static_cast<std::size_t>(samples) * state_size();
    const Real* coarse = tape;
    Real* of_network = tape + batch_size();
    if (mode_ == Correction::parallel) {
      network_.backward(samples, u, of_network, g, du);
      if (!du) return;
      coarse_.vjp(samples, u, g, one_.data());
      ops::add(exec_, count, one_.data(), du);
      return;
    }
    Real* dcoarse = one_.data();
    network_.backward(samples, coarse, of_network, g, du ? dcoarse : nullptr);
    if (!du) return;
    if (mode_ == Correction::sequential_with_bypass) ops::add(exec_, count, g, dcoarse);
    coarse_.vjp(samples, u, dcoarse, du);
  }

 private:
  std::size_t batch_size() const {
    return aligned_count(static_cast<std::size_t>(network_.largest_batch()) * network_.state_size());
  }

  /// Where no tape is wanted, network_tape is null.
  void step(int samples, const Real* u, Real* next, Real* coarse, Real* network_tape) {
    const bool parallel = mode_ == Correction::parallel, alone = mode_ == Correction::sequential;
    coarse_.forward(samples, u, coarse);
    Real* out = alone ? next : two_.data();
    if (network_tape)
      network_.forward(samples, parallel ? u : coarse, out, network_tape);
    else
      network_.forward(samples, parallel ? u : coarse, out);
    if (alone) return;
    const std::size_t count = static_cast<std::size_t>(samples) * state_size();
    std::copy_n(coarse, count, next);
    ops::add(exec_, count, out, next);
  }

  Exec exec_;
  Correction mode_;
  Network& network_;
  Coarse& coarse_;
  Arena<Real> one_, two_, coarse_state_;  // scratch
};

}  // namespace fieldstep::train
