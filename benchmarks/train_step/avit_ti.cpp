#include <benchmarks/train_step/avit.hpp>

void fieldstep::benchmarks::add_avit_ti_training_cases(const Exec& exec, const std::string& suffix) {
  add_avit_training<models::AvitTi>("avit-Ti", exec, suffix);
}
