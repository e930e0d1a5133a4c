#include <benchmarks/step/avit.hpp>

void fieldstep::benchmarks::add_avit_s_cases(const Exec& exec, const std::string& suffix) {
  add_avit<models::AvitS>("avit-S", exec, suffix);
}
