#pragma once
#include <examples/cli/loss.hpp>
#include <examples/cli/references.hpp>
#include <fieldstep/embed/any_stepper.hpp>
#include <fieldstep/train/method.hpp>
#include <fieldstep/train/minibatch_parts.hpp>
#include <fieldstep/train/permutation.hpp>
#include <fieldstep/train/rollout_objective.hpp>

#include <functional>
#include <memory>

namespace fieldstep::cli {

/// What `train --method` minimises: part by part, so that several processes can share a minibatch.
using MethodParts = train::MinibatchParts<train::PermutationMixer>;
using MethodObjective =
    train::RolloutObjective<train::Method<AnyLoss>, embed::AnyStepper, MethodParts, AnyReference, AnyResiduum>;

/// An objective that one process or several compute.
struct SharedObjective {
  std::function<float*()> of_weights, of_gradient;
  std::function<void()> clear, changed;
  std::function<double(long)> add;

  float* weights() { return of_weights(); }
  float* gradient() { return of_gradient(); }
  void clear_gradient() { clear(); }
  void weights_changed() { changed(); }
  double add_gradient(long i) { return add(i); }

  template <class Goal>
  static SharedObjective of(const std::shared_ptr<Goal>& goal) {
    return {.of_weights = [goal] { return goal->weights(); },
            .of_gradient = [goal] { return goal->gradient(); },
            .clear = [goal] { goal->clear_gradient(); },
            .changed = [goal] { goal->weights_changed(); },
            .add = [goal](long i) { return goal->add_gradient(i); }};
  }
};

}  // namespace fieldstep::cli
