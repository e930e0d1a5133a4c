#pragma once
#include <examples/cli/loss.hpp>
#include <examples/cli/references.hpp>
#include <fieldstep/embed/any_stepper.hpp>
#include <fieldstep/train/method.hpp>
#include <fieldstep/train/minibatch_parts.hpp>
#include <fieldstep/train/permutation.hpp>
#include <fieldstep/train/rollout_objective.hpp>

namespace fieldstep::cli {

/// What `train --method` minimises: part by part, so that several processes can share a minibatch.
using MethodParts = train::MinibatchParts<train::PermutationMixer>;
using MethodObjective =
    train::RolloutObjective<train::Method<AnyLoss>, embed::AnyStepper, MethodParts, AnyReference, AnyResiduum>;

}  // namespace fieldstep::cli
