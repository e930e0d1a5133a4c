#include <benchmarks/step/avit.hpp>

void fieldstep::benchmarks::add_avit_ti_cases(const Exec& exec, const std::string& suffix) {
  add_avit<models::AvitTi>("avit-Ti", exec, suffix);
}
