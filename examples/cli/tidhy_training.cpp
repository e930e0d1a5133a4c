#include <examples/cli/interruption.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/ranks.hpp>
#include <examples/cli/tidhy.hpp>
#include <examples/cli/training.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/weights.hpp>
#include <fieldstep/train/side_by_side.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <limits>
#include <optional>
#include <utility>

namespace fieldstep::cli {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Exec = Kokkos::DefaultHostExecutionSpace;

/// One training, everything of it read and checked.
struct Run {
  TrainingOptions options;
  Beginning beginning;
  SequenceData data;
  models::TidhyEntry entry;
  TidhySettings settings;
};

Run prepare(TrainingOptions options, const CLI::App& command) {
  const bool first = Ranks::rank() == 0;
  options.quiet = options.quiet || !first;
  Beginning beginning = begin(options, command);
  if (options.data.files.empty() || (options.steps == 0) == (options.epochs == 0))
    fail_usage("train: wanted --model, --data and either --steps or --epochs");
  for (const char* other : {"--method", "--loss", "--reference", "--frames", "--problem", "--labels", "--bcs"})
    if (command.count(other) > 0) fail_usage(other, ": is nothing that TiDHy has");
  SequenceData data = read_sequence_data(options.data, options.sequences);
  const models::TidhyEntry entry = choose_tidhy(options.model.name, data.training.channels);
  if (command.count("--batch") == 0 && !beginning.begun) options.batch = data.training.count;
  if (options.batch > data.training.count)
    fail_usage("--batch: found ", options.batch, ", there are ",
               counted(static_cast<std::size_t>(data.training.count), "sequence"), " to train on");
  TidhySettings settings;
  settings.set(options.settings);
  if (settings.training.inference.mean_over == 0) settings.training.inference.mean_over = options.batch;
  settings.training.inference.r2_init_key = split(make_key(options.seed), 2, 3);
  if (Ranks::size() > 1 && (settings.training.grad_norm || settings.training.carry_state))
    fail_usage("--set: grad_norm and stateful are for one process, found ", Ranks::size());
  return {std::move(options), std::move(beginning), std::move(data), entry, settings};
}

train::Description identity(const Run& run, TidhySettings settings) {
  const TrainingOptions& options = run.options;
  return {{network_key, std::string(run.entry.name) + ", " + run.entry.text},
          {"fieldstep.training.optimizer", options.optimizer},
          {"fieldstep.training.data", run.data.text()},
          {"fieldstep.training.seed", std::to_string(options.seed)},
          {"fieldstep.training.batch", std::to_string(options.batch) + " x " + std::to_string(options.accumulate)},
          {"fieldstep.training.settings", settings.json()}};
}

/// Start values, and what became of them.
std::string start(const Run& run, float* weights, train::Description& metadata) {
  const TrainingOptions& options = run.options;
  if (options.checkpoint.empty()) {
    run.entry.initialise(weights, split(make_key(options.seed), 0, 3), run.settings.start);
    const SequenceSet& set = run.data.training;
    if (run.settings.principal_components)
      run.entry.start_at_components(weights, set.values.size() / static_cast<std::size_t>(set.channels),
                                    set.values.data());
    return std::to_string(run.entry.table.size()) + " initialised";
  }
  const io::TensorFile file = open_weights(options.checkpoint);
  metadata["fieldstep.source"] = source_of(options.checkpoint);
  return io::in_file(options.checkpoint, [&] {
    return io::load_weights(file, run.entry.table, weights, {.refuse_not_finite = true}).text();
  });
}

Validation validate(models::AnyTidhy& goal, const SequenceSet& held) {
  const models::TidhyLosses losses = goal.evaluate(held.count, held.time, held.values.data());
  return {.loss = losses.total(),
          .metric = {{"spatial_loss_rhat", losses.spatial_rhat},
                     {"spatial_loss_rbar", losses.spatial_rbar},
                     {"temp_loss", losses.temp},
                     {"r2_losses", losses.r2}}};
}

/// Trains and returns the summary. alone: nothing else is trained beside it, so that it may speak.
Json fit(Run& run, const Exec& exec, bool alone) {
  TrainingOptions& options = run.options;
  const SequenceSet &set = run.data.training, &held = run.data.validation;
  const bool first = Ranks::rank() == 0, begun = run.beginning.begun, quiet = options.quiet || !alone;
  const fs::path folder = options.output, last = folder / "last.safetensors";

  const std::int32_t samples = set.count;
  train::SetSampler order({&samples, 1}, options.batch, std::numeric_limits<std::int32_t>::max(),
                          split(make_key(options.seed), 1, 3));
  const long per_epoch = order.per_epoch();
  const long steps = options.steps > 0 ? options.steps : std::max(1L, options.epochs * per_epoch / options.accumulate);
  TidhyParts parts(order, minibatch_parts(options.fixed_order));
  models::AnyTidhy goal = run.entry.make(
      set.count, set.time, set.values.data(), [&parts](long i) { return parts(i).samples; }, options.batch,
      run.settings.training, exec);
  train::Description metadata = run.beginning.metadata;
  const std::string weights = begun || !first ? metadata[start_key] : start(run, goal.weights(), metadata);
  SharedObjective shared = share(goal, parts, run.entry.table, samples, options.fixed_order);

  metadata["fieldstep.family"] = "tidhy", metadata[tidhy_key] = run.entry.text;
  metadata[settings_key] = run.settings.json();
  if (const std::string text = run.data.standardisation.text(); !text.empty()) metadata[standardisation_key] = text;
  const train::Description description = identity(run, run.settings);
  train::Description of_checkpoint = metadata;
  of_checkpoint.insert(description.begin(), description.end());
  of_checkpoint[options_key] = json_of(options).dump(), of_checkpoint[start_key] = weights;
  metadata.erase(start_key);

  const bool adapts = adapts_rate(options.optimizer);
  const double rate = options.rate > 0 ? options.rate : adapts ? 1 : 1e-3;
  const double weight_decay = options.weight_decay >= 0            ? options.weight_decay
                              : decouples_decay(options.optimizer) ? 1e-4
                                                                   : 0;
  const LearningRate schedule =
      make_schedule(options.schedule, rate, options.warmup, steps, options.accumulate, adapts);
  const AnyOptimizer optimizer = make_optimizer(options.optimizer, schedule, weight_decay);
  const train::ParameterGroups groups(run.entry.table, [&](const ParamEntry& entry) {
    const std::string_view path = entry.path.view();
    return train::ParameterOptions{
        .rate = path.starts_with("hypernet") ? run.settings.hypernet_rate : 1,
        .frozen = std::ranges::any_of(options.frozen, [=](const std::string& p) { return path.starts_with(p); })};
  });
  train::Trainer trainer(
      shared, optimizer, groups,
      {.accumulate = options.accumulate,
       .max_norm = options.max_norm > 0 ? options.max_norm : std::numeric_limits<double>::infinity()},
      exec);

  const long epoch = std::max(1L, per_epoch / options.accumulate);
  Observer observer({.folder = folder,
                     .steps = steps,
                     .validate_every = held.count == 0              ? 0
                                       : options.validate_every > 0 ? options.validate_every
                                                                    : 5 * epoch,
                     .checkpoint_every = options.checkpoint_every > 0 ? options.checkpoint_every : 50 * epoch,
                     .patience = options.patience,
                     .batch = options.batch,
                     .quiet = quiet,
                     .identity = description,
                     .of_checkpoint = of_checkpoint,
                     .of_weights = metadata},
                    run.entry.table, goal.weights(), schedule, [&] { return validate(goal, held); });
  observer.remember(trainer, goal);
  if (begun && first) observer.resume();
  if (begun) broadcast(observer.state());
  if (!first) {
    if (trainer.step() < steps) run_together(trainer, steps, observer);
    return {};
  }
  if (!quiet && !options.json) {
    std::cout << run.entry.name << " (" << run.entry.text << "), " << param_count(run.entry.table)
              << " parameters: " << weights << "\n"
              << run.data.text() << "\n"
              << counted(static_cast<std::size_t>(steps), "step") << " of " << options.batch << " x "
              << options.accumulate << " sequences, " << per_epoch << " minibatches an epoch" << std::endl;
    if (begun) std::cout << "going on behind step " << trainer.step() << std::endl;
  }
  prepare_folder(folder);
  observer.start(trainer.step());
  const std::string title = options.title.empty() ? std::string(run.entry.name) + ", " + run.data.name : options.title;
  if (trainer.step() < steps) {
    run_and_draw(trainer, steps, observer, title);
  } else {
    observer.draw(title);  // may be what an earlier start was killed at
    if (!quiet) std::cerr << "fieldstep: " << last.string() << ": all " << steps << " steps are made\n";
  }
  Json about{{"family", "tidhy"},
             {"model", run.entry.name},
             {"sizes", run.entry.text},
             {"data", run.data.text()},
             {"weights", weights},
             {"steps", trainer.step()},
             {"batch", options.batch},
             {"accumulate", options.accumulate},
             {"optimizer", options.optimizer},
             {"settings", Json::parse(run.settings.json())},
             {"seed", options.seed},
             {"threads", workers(exec)}};
  observer.sum_up(about);
  io::write_text(folder / "train.json", about.dump(1) + "\n");
  return about;
}

void speak(const TrainingOptions& options, const Json& about) {
  if (Ranks::rank() > 0) return;
  if (options.json)
    std::cout << about.dump() << '\n';
  else if (!options.quiet)
    print_summary(about, options.output);
}

}  // namespace

void train_tidhy(const TrainingOptions& options, const std::vector<std::uint64_t>& seeds, const CLI::App& command) {
  const Interruption interruption;
  const KokkosThreads kokkos(options.threads);
  if (seeds.empty()) {
    Run run = prepare(options, command);
    return speak(run.options, fit(run, Exec(), true));
  }
  std::vector<Run> runs;
  for (const std::uint64_t seed : seeds) runs.push_back(prepare(of_seed(options, seed), command));
  std::vector<Json> summaries(runs.size());
  if (Ranks::size() > 1) {
    for (std::size_t k = 0; k < runs.size(); ++k) summaries[k] = fit(runs[k], Exec(), true);
  } else {
    if (!options.quiet && !options.json)
      std::cout << counted(runs.size(), "training") << " side by side, " << runs.front().data.text() << std::endl;
    train::side_by_side(Exec(), static_cast<int>(runs.size()), [&](int k, const Exec& exec) {
      const auto i = static_cast<std::size_t>(k);
      summaries[i] = fit(runs[i], exec, false);
    });
  }
  for (std::size_t k = 0; k < runs.size(); ++k) speak(runs[k].options, summaries[k]);
}

}  // namespace fieldstep::cli
