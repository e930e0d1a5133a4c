#include <benchmarks/step/avit.hpp>

void fieldstep::benchmarks::add_avit_b_cases(const Exec& exec, const std::string& suffix) {
  add_avit<models::AvitB>("avit-B", exec, suffix);
}
