#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/exec.hpp>
#include <fieldstep/core/param_table.hpp>

#include <algorithm>
#include <cstddef>

namespace fieldstep::embed {

/// A small network such as models::ConvNet as a map of a state to the next that can be trained (train::Stepper), with
/// the memory it needs: weights, their gradient, and scratch for passes over at most `batch` samples. The constructor
/// makes the only allocations. Fill weights(), call weights_changed(), then forward() and backward().
template <class Net_, class Exec = Kokkos::DefaultHostExecutionSpace>
class NetStepper {
  static_assert(on_host<Exec>, "NetStepper: small networks run where the host's memory can be read");

 public:
  using Net = Net_;
  using Real = typename Net::Real;

  explicit NetStepper(int batch, const Exec& exec = {})
      : exec_(exec),
        batch_(batch),
        weights_(Net::arena_size),
        gradient_(Net::arena_size),
        prepared_memory_(Net::prepared_size()),
        scratch_(Net::scratch_size(batch)),
        dw_(Net::bind_gradient(gradient_.data())) {
    std::fill_n(weights_.data(), weights_.size(), Real(0));
    clear_gradient();
  }

  static std::size_t state_size() { return Net::state_size; }
  int largest_batch() const { return batch_; }
  std::size_t tape_size() const { return Net::tape_size(batch_); }

  static ParamTable table() { return Net::table(); }
  Real* weights() { return weights_.data(); }
  Real* gradient() { return gradient_.data(); }
  void clear_gradient() { std::fill_n(gradient_.data(), gradient_.size(), Real(0)); }
  void weights_changed() { prepared_ = Net::prepare(weights_.data(), prepared_memory_.data()); }

  /// u -> next, both (samples, state).
  void forward(int samples, const Real* u, Real* next) {
    Net::forward(exec_, samples, prepared_, u, next, nullptr, scratch_.data());
  }
  /// The same bits, and to tape what backward() reads.
  void forward(int samples, const Real* u, Real* next, Real* tape) {
    Net::forward(exec_, samples, prepared_, u, next, tape, scratch_.data());
  }
  /// Adds to gradient(); overwrites du, where it is not null. g = dL/dnext
  void backward(int samples, const Real* u, const Real* tape, const Real* g, Real* du) {
    Net::backward(exec_, samples, prepared_, u, tape, g, du, dw_, scratch_.data());
  }

 private:
  Exec exec_;
  int batch_;
  Arena<Real> weights_, gradient_, prepared_memory_, scratch_;
  typename Net::Gradient dw_;
  typename Net::Prepared prepared_{};
};

}  // namespace fieldstep::embed
