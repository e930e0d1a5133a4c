#pragma once
#include <fieldstep/train/optimizer/adam.hpp>

namespace fieldstep::train {

/// Adam with decoupled weight decay, which is scaled by the learning rate: with Adam's direction u,
///   w -= eta (u + weight_decay w)
/// Source: Loshchilov and Hutter 2019, arXiv:1711.05101; optax.adamw and torch.optim.AdamW, whose defaults for
/// weight_decay are 1e-4 and 1e-2.
template <Schedule Rate = Constant>
struct AdamW {
  Rate schedule{};
  double weight_decay = 1e-4, beta1 = .9, beta2 = .999, eps = 1e-8, eps_root = 0;
  bool nesterov = false;

  template <class Real>
  using State = detail::AdamState<Real>;
  template <class Real>
  State<Real> make_state(const ParameterGroups& groups) const {
    return {groups.template arena<Real>(), groups.template arena<Real>()};
  }

  template <class Exec, class Real>
  void step(const Exec& exec, const ParameterGroups& groups, long t, Real* weights, const Real* gradient,
            State<Real>& state, double factor = 1) const {
    ops::pointwise(exec, groups.runs(), detail::AdamRule<Real>(*this, weight_decay, t, factor), weights, gradient,
                   state.m.data(), state.v.data());
  }
};

}  // namespace fieldstep::train
