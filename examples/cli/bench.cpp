#include <benchmarks/peak.hpp>
#include <examples/cli/commands.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/models.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/init.hpp>
#include <fieldstep/core/random.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

namespace fieldstep::cli {

namespace {

struct Options {
  Wanted model;
  std::string mode = "forward";
  int batch = 1, threads = 0, repeat = 10;
  bool json = false;
};

/// Seconds of every run after the warm-up.
template <class Step>
std::vector<double> timed(int repeat, const Step& step) {
  constexpr int warm_up = 3;
  std::vector<double> seconds;
  for (int run = -warm_up; run < repeat; ++run) {
    const auto start = std::chrono::steady_clock::now();
    step();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    if (run >= 0) seconds.push_back(time.count());
  }
  return seconds;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

void run(const Options& options) {
  if (options.mode != "forward")
    fail_usage("--mode: found ", options.mode, ", wanted forward; training is not there yet");
  const ModelEntry entry = choose(options.model);
  const KokkosThreads kokkos(options.threads);
  const Kokkos::DefaultHostExecutionSpace exec;

  embed::Model model = entry.make();
  const Key key = make_key(0);
  initialise(entry.table, model.weights(), key);
  std::vector<int> labels(static_cast<std::size_t>(entry.fields));
  std::iota(labels.begin(), labels.end(), 0);
  model.condition({.labels = labels});

  const auto batch = static_cast<std::size_t>(options.batch), frames = static_cast<std::size_t>(entry.frames);
  std::vector<float> x(batch * frames * entry.frame_size()), y(batch * entry.out_size()), lead_times(batch, 0.5f);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = random_normal(random_bits(key, i, x.size()));

  const double peak_before = benchmarks::multiply_add_peak<float>(exec);
  const std::vector<double> seconds =
      timed(options.repeat, [&] { model.forward(options.batch, x.data(), y.data(), lead_times.data()); });
  const double peak = std::max(peak_before, benchmarks::multiply_add_peak<float>(exec));

  const double flop = entry.flop(options.batch), middle = median(seconds);
  const nlohmann::ordered_json line{{"family", entry.family},
                                    {"model", entry.name},
                                    {"mode", options.mode},
                                    {"threads", workers(exec)},
                                    {"batch", options.batch},
                                    {"min_s", std::ranges::min(seconds)},
                                    {"median_s", middle},
                                    {"gflop", 1e-9 * flop},
                                    {"share_of_peak", flop / middle / peak},
                                    {"peak_rss_mib", peak_rss_mib()},
                                    {"workspace_mib", to_mib(entry.workspace_bytes)},
                                    {"weights_mib", to_mib(entry.weight_bytes)},
                                    {"peak_gflop_per_s", 1e-9 * peak}};
  if (options.json) {
    std::cout << line.dump() << '\n';
    return;
  }
  std::cout << entry.name << ", " << entry.frames << " frames, " << entry.fields << " fields, " << entry.height << "x"
            << entry.width << ", batch " << options.batch << ", " << workers(exec) << " threads: median "
            << 1e3 * middle << " ms, best " << 1e3 * std::ranges::min(seconds) << " ms, " << 1e-9 * flop << " GFLOP, "
            << 100 * flop / middle / peak << " % of " << 1e-9 * peak << " GFLOP/s, peak memory " << peak_rss_mib()
            << " MiB\n";
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App& command = *app.add_subcommand("bench", "Time a model and compare it with the machine's peak");
  const auto options = std::make_shared<Options>();
  options->model.add_to(command);
  command.get_option("--model")->required();
  command.add_option("--batch", options->batch, "Samples of a step")->check(CLI::PositiveNumber)->capture_default_str();
  command.add_option("--threads", options->threads, "Threads, exactly; default: OMP_NUM_THREADS or all processors")
      ->check(CLI::PositiveNumber);
  command.add_option("--mode", options->mode, "forward (inference)")->capture_default_str();
  command.add_option("--repeat", options->repeat, "Timed runs, after three others")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_flag("--json", options->json, "One line of JSON: seconds, GFLOP of the work needed, MiB");
  command.footer(
      "share_of_peak is the work needed a second over the multiply-add peak that the same threads reach before or\n"
      "after the runs. Options left out: the first compiled model that fits.\n"
      "Example: fieldstep bench --model avit-Ti --grid 128x128 --frames 4 --fields 3 --threads 2 --json");
  command.callback([options] { run(*options); });
}

}  // namespace fieldstep::cli
