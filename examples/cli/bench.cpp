#include <benchmarks/peak.hpp>
#include <examples/cli/commands.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/models.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/init.hpp>
#include <fieldstep/core/random.hpp>
#include <fieldstep/train/loss/channel_groups.hpp>
#include <fieldstep/train/loss/normalised_mse.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

namespace fieldstep::cli {

namespace {

using Exec = Kokkos::DefaultHostExecutionSpace;

struct Options {
  Wanted model;
  std::string mode = "forward";
  int batch = 1, threads = 0, repeat = 10;
  bool recompute = false, json = false;
};

/// A part of a step, and the seconds that every timed run spent in it.
struct Phase {
  const char* name;
  std::function<void()> run;
  std::vector<double> seconds{};
};

/// Runs the phases one after the other, three times to warm up and `repeat` times more; the seconds of each of these
/// steps.
std::vector<double> time_steps(int repeat, std::vector<Phase>& phases) {
  using Clock = std::chrono::steady_clock;
  constexpr int warm_up = 3;
  std::vector<double> steps;
  for (int step = -warm_up; step < repeat; ++step) {
    const auto start = Clock::now();
    auto last = start;
    for (Phase& phase : phases) {
      phase.run();
      const auto now = Clock::now();
      if (step >= 0) phase.seconds.push_back(std::chrono::duration<double>(now - last).count());
      last = now;
    }
    if (step >= 0) steps.push_back(std::chrono::duration<double>(last - start).count());
  }
  return steps;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

/// What both modes compute on: drawn numbers, states 0, 1, ... and one lead time.
struct Batch {
  Batch(const ModelEntry& entry, int size)
      : x(static_cast<std::size_t>(size * entry.frames) * entry.frame_size()),
        y(static_cast<std::size_t>(size) * entry.out_size()),
        lead_times(static_cast<std::size_t>(size), 0.5f),
        labels(static_cast<std::size_t>(entry.fields)) {
    std::iota(labels.begin(), labels.end(), 0);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = random_normal(random_bits(key, i, x.size()));
  }
  Key key = make_key(0);
  std::vector<float> x, y, lead_times;
  std::vector<int> labels;
};

/// A forecast.
std::vector<Phase> forward_phases(const ModelEntry& entry, const Options& options) {
  const auto batch = std::make_shared<Batch>(entry, options.batch);
  const auto model = std::make_shared<embed::Model>(entry.make());
  initialise(entry.table, model->weights(), batch->key);
  model->condition({.labels = batch->labels});
  return {{"forward",
           [=, n = options.batch] { model->forward(n, batch->x.data(), batch->y.data(), batch->lead_times.data()); }}};
}

/// A step of supervised training with the family's loss and AdamW.
std::vector<Phase> training_phases(const ModelEntry& entry, const Options& options, const Exec& exec) {
  const auto batch = std::make_shared<Batch>(entry, options.batch);
  const auto model = std::make_shared<embed::TrainableModel>(
      entry.make_trainable(options.batch, options.recompute ? Activations::recompute : Activations::keep));
  initialise(entry.table, model->weights(), batch->key);
  model->condition({.labels = batch->labels});
  const auto dy = std::make_shared<std::vector<float>>(batch->y.size());
  const auto target = std::make_shared<std::vector<float>>(batch->x.begin(), batch->x.begin() + std::ssize(batch->y));
  const auto loss = [=, lead_time = entry.lead_time, channels = entry.out_fields, n = options.batch,
                     points = static_cast<int>(entry.points())] {
    if (lead_time)
      train::ChannelGroupLoss{.p = 1}(n, channels, points, batch->y.data(), target->data(), dy->data());
    else
      train::NormalisedMse{}(n, channels, points, batch->y.data(), target->data(), dy->data());
  };
  const train::AdamW<> optimizer{.schedule = {1e-4}};
  const auto groups = std::make_shared<train::ParameterGroups>(entry.table);
  const auto state = std::make_shared<train::AdamW<>::State<float>>(optimizer.make_state<float>(*groups));
  // What depends on the weights alone is computed anew with every forward pass: its gradient is part of every backward.
  return {{"clear", [=] { model->clear_gradient(); }},
          {"forward",
           [=, n = options.batch] {
             model->condition({.labels = batch->labels});
             model->forward(n, batch->x.data(), batch->lead_times.data(), batch->y.data());
           }},
          {"loss", loss},
          {"backward", [=] { model->backward(dy->data()); }},
          {"optimizer",
           [=, t = 0L]() mutable { optimizer.step(exec, *groups, t++, model->weights(), model->gradient(), *state); }}};
}

void run(const Options& options) {
  const bool trains = options.mode == "train";
  const ModelEntry entry = choose(options.model);
  if (trains && !entry.make_trainable) refuse_untrainable(options.model, network_of(entry));
  if (options.recompute && !trains) fail_usage("--recompute: only with --mode train");
  const KokkosThreads kokkos(options.threads);
  const Exec exec;

  std::vector<Phase> phases = trains ? training_phases(entry, options, exec) : forward_phases(entry, options);
  const double peak_before = benchmarks::multiply_add_peak<float>(exec);
  const std::vector<double> seconds = time_steps(options.repeat, phases);
  const double peak = std::max(peak_before, benchmarks::multiply_add_peak<float>(exec));

  const double flop = (trains ? 3 : 1) * entry.flop(options.batch), middle = median(seconds);
  const auto activations = options.recompute ? Activations::recompute : Activations::keep;
  const std::size_t workspace =
      trains ? entry.training_size(options.batch, activations) * sizeof(float) - 2 * entry.weight_bytes
             : entry.workspace_bytes;
  nlohmann::ordered_json line{{"family", entry.family},
                              {"model", entry.name},
                              {"mode", options.mode},
                              {"threads", workers(exec)},
                              {"batch", options.batch},
                              {"min_s", std::ranges::min(seconds)},
                              {"median_s", middle},
                              {"gflop", 1e-9 * flop},
                              {"share_of_peak", flop / middle / peak},
                              {"peak_rss_mib", peak_rss_mib()},
                              {"workspace_mib", to_mib(workspace)},
                              {"weights_mib", to_mib(entry.weight_bytes)},
                              {"peak_gflop_per_s", 1e-9 * peak}};
  if (trains)
    for (const Phase& phase : phases) line[std::string(phase.name) + "_s"] = median(phase.seconds);
  if (options.json) {
    std::cout << line.dump() << '\n';
    return;
  }
  std::cout << entry.name << (trains ? ", training" : "") << ", " << entry.frames << " frames, " << entry.fields
            << " fields, " << entry.height << "x" << entry.width << ", batch " << options.batch << ", " << workers(exec)
            << " threads: median " << 1e3 * middle << " ms, best " << 1e3 * std::ranges::min(seconds) << " ms, "
            << 1e-9 * flop << " GFLOP, " << 100 * flop / middle / peak << " % of " << 1e-9 * peak
            << " GFLOP/s, peak memory " << peak_rss_mib() << " MiB\n";
  if (trains)
    for (const Phase& phase : phases) std::cout << "  " << phase.name << ' ' << 1e3 * median(phase.seconds) << " ms\n";
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
  command.add_option("--mode", options->mode, "forward (inference) or train (a whole step, with AdamW)")
      ->check(CLI::IsMember({"forward", "train"}))
      ->capture_default_str();
  command.add_flag("--recompute", options->recompute, "train: compute activations again instead of keeping them");
  command.add_option("--repeat", options->repeat, "Timed runs, after three others")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_flag("--json", options->json, "One line of JSON: seconds, GFLOP of the work needed, MiB");
  command.footer(
      "share_of_peak is the work needed a second over the multiply-add peak that the same threads reach before or\n"
      "after the runs; a backward pass counts as two forward passes. Options left out: the first compiled model that "
      "fits.\n"
      "Example: fieldstep bench --model avit-Ti --grid 128x128 --frames 4 --fields 3 --threads 2 --json");
  command.callback([options] { run(*options); });
}

}  // namespace fieldstep::cli
