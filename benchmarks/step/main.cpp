// Time, GFLOP/s, GB/s and share of the multiply-add peak of every operation and of whole models, on one thread and
// more.
//   benchmark_step [--benchmark_filter=REGEX] [--benchmark_format=json] ...
#include <benchmarks/step/cases.hpp>

int main(int argc, char* argv[]) {
  using namespace fieldstep::benchmarks;
  return run_cases(argc, argv,
                   {add_matmul_cases, add_matmul_avit_cases, add_pointwise_cases, add_attention_cases,
                    add_window_attention_cases, add_avit_ti_cases, add_avit_s_cases, add_avit_b_cases});
}
