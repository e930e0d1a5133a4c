#include <benchmarks/train_step/avit.hpp>

void fieldstep::benchmarks::add_avit_s_training_cases(const Exec& exec, const std::string& suffix) {
  add_avit_training<models::AvitS>("avit-S", exec, suffix);
}
