#pragma once
#include <examples/cli/training_options.hpp>

namespace fieldstep::cli {

/// A run of training over rollouts (options.method), from its start or from the checkpoint of its folder, of which
/// `metadata` tells what stays the same.
void train_by_method(TrainingOptions options, bool begun, train::Description metadata);

}  // namespace fieldstep::cli
