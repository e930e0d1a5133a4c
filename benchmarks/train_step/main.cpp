// Time, GFLOP/s and share of the multiply-add peak of the passes of training, on one thread and more.
//   benchmark_train_step [--benchmark_filter=REGEX] [--benchmark_format=json] ...
#include <benchmarks/train_step/cases.hpp>

int main(int argc, char* argv[]) {
  using namespace fieldstep::benchmarks;
  return run_cases(argc, argv, {add_avit_ti_training_cases, add_avit_s_training_cases});
}
