#pragma once
#include <benchmarks/step/cases.hpp>

// Passes of training beside the machine's peak, measured as benchmarks/step measures.
namespace fieldstep::benchmarks {

/// Registers the cases of one unit for an instance; `suffix` says its number of threads.
void add_avit_ti_training_cases(const Exec& exec, const std::string& suffix);
void add_avit_s_training_cases(const Exec& exec, const std::string& suffix);

}  // namespace fieldstep::benchmarks
