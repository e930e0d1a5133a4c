// Time, GFLOP/s and share of the multiply-add peak of the passes of training, on one thread and more.
//   benchmark_train_step [--benchmark_filter=REGEX] [--benchmark_format=json] ...
#include <benchmarks/train_step/cases.hpp>

int main(int argc, char* argv[]) {
  using namespace fieldstep::benchmarks;
  const Kokkos::ScopeGuard kokkos(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  for (const Exec& exec : thread_counts()) {
    const std::string suffix = "/threads:" + std::to_string(fieldstep::workers(exec));
    for (const auto add : {add_avit_ti_training_cases, add_avit_s_training_cases}) add(exec, suffix);
  }
  print_machine();
  benchmark::RunSpecifiedBenchmarks();
}
