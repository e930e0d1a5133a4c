#include <examples/cli/interruption.hpp>
#include <examples/cli/loss.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/method_training.hpp>
#include <examples/cli/ranks.hpp>
#include <examples/cli/references.hpp>
#include <examples/cli/rollout_data.hpp>
#include <examples/cli/training.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/train/method.hpp>
#include <fieldstep/train/permutation.hpp>
#include <fieldstep/train/rollout_objective.hpp>

#include <cmath>
#include <iostream>
#include <limits>
#include <optional>

namespace fieldstep::cli {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Configuration = train::Method<AnyLoss>;
using Objective = MethodObjective;
using train::SubStacker;

/// Optimizer, number of updates and learning rates, from one text or from single options.
struct Plan {
  std::string optimizer;
  long steps = 0;  ///< 0: by epochs
  LearningRate schedule{};
};

Plan plan_of(const TrainingOptions& options) {
  const std::optional<OptimizerText> text = parse_optimizer(options.optimizer);
  if (!text) return {.optimizer = options.optimizer, .steps = options.steps};
  if (options.epochs > 0) fail_usage("--epochs: not with the updates of --optimizer ", options.optimizer);
  return {
      .optimizer = text->name, .steps = options.steps > 0 ? options.steps : text->updates, .schedule = text->schedule};
}

/// The physics that a method compares with; refuses what it needs and nobody gives.
References references_for(const TrainingOptions& options, const Configuration& method, const RolloutData& data) {
  const auto [needs_reference, needs_residuum] =
      std::visit([]<class C>(const C&) { return std::pair(C::needs_reference, C::needs_residuum); }, method.choice);
  if (options.reference.empty()) {
    if (needs_reference || needs_residuum)
      fail_usage("--method: ", options.method, " needs ", needs_reference ? "a reference stepper" : "a residuum",
                 ", which files of simulations do not have; --reference names a built-in one: ", reference_names);
    return {};
  }
  References references = make_references(options.reference, data.entry, options.batch);
  if (needs_reference && !references.stepper)
    fail_usage("--reference: ", options.reference, " is no reference stepper, which ", options.method, " needs");
  if (needs_residuum && !references.residuum)
    fail_usage("--reference: ", options.reference, " is no residuum, which ", options.method, " needs");
  return references;
}

template <class Part>
Part* pointer(std::optional<Part>& part) {
  return part ? &*part : nullptr;
}

/// What must not change from one start of a run to the next.
train::Description identity(const TrainingOptions& options, const RolloutData& data) {
  return {{network_key, std::string(data.entry.name) + ", " + recognise(data.entry).text()},
          {"fieldstep.training.method", options.method + ", " + options.loss},
          {"fieldstep.training.optimizer", options.optimizer},
          {"fieldstep.training.data", data.text()},
          {"fieldstep.training.seed", std::to_string(options.seed)},
          {"fieldstep.training.batch", std::to_string(options.batch) + " x " + std::to_string(options.accumulate)}};
}

Json summary(const TrainingOptions& options, const RolloutData& data, Observer& observer, long step,
             std::int64_t windows, const std::string& weights) {
  Json about{{"family", data.entry.family},
             {"model", data.entry.name},
             {"method", options.method},
             {"rollout_loss", options.loss},
             {"data", data.text()},
             {"windows", windows},
             {"weights", weights},
             {"steps", step},
             {"batch", options.batch},
             {"accumulate", options.accumulate},
             {"optimizer", options.optimizer},
             {"seed", options.seed},
             {"threads", Kokkos::DefaultHostExecutionSpace().concurrency()}};
  observer.sum_up(about);
  return about;
}

}  // namespace

void train_by_method(TrainingOptions options, bool begun, train::Description metadata) {
  const fs::path folder = options.output, last = folder / "last.safetensors";
  const KokkosThreads kokkos(options.threads);
  const Key key = make_key(options.seed), for_weights = split(key, 0, 3), for_order = split(key, 1, 3),
            for_split = split(key, 2, 3);
  // Before anything is read, with a loss that need not know the network.
  const Plan plan = plan_of(options);
  const int window = train::parse_method(options.method, make_loss(options.loss, 1)).window();
  const RolloutData data = read_rollout_data(options.data, options.model, window, for_split, options.quiet);
  const ModelEntry& entry = data.entry;
  const Configuration method = train::parse_method(options.method, make_loss(options.loss, entry.frames));
  References references = references_for(options, method, data);

  const train::Trajectories<float> trajectories = data.trajectories(false);
  const SubStacker windows(trajectories.count, trajectories.states(), method.window(),
                           {.only_initial = method.snapshots() == 1});
  const auto samples = static_cast<std::int32_t>(windows.size());
  options.batch = std::min(options.batch, samples);
  const long per_epoch = (samples + options.batch - 1) / options.batch;
  const long steps = plan.steps > 0 ? plan.steps : std::max(1L, options.epochs * per_epoch / options.accumulate);
  if (plan.steps == 0 && options.epochs == 0)
    fail_usage("train: wanted --steps, --epochs or the updates in --optimizer, such as adam;10_000;constant;1e-3");
  train::PermutationMixer order(samples, steps * options.accumulate, options.batch, for_order);
  MethodParts parts(order, minibatch_parts(options.fixed_order));
  const bool first = Ranks::rank() == 0;  // who reads, writes and speaks

  const auto activations = options.recompute ? Activations::recompute : Activations::keep;
  embed::AnyStepper stepper = entry.make_stepper(options.batch, data.conditions(), data.lead_time, activations);
  Objective goal(stepper, trajectories, windows, parts, method, pointer(references.stepper),
                 pointer(references.residuum), activations);
  std::string weights =
      begun || !first ? metadata[start_key] : start_weights(options, entry, stepper.weights(), for_weights, metadata);
  stepper.weights_changed();

  metadata[start_key] = weights;
  metadata.merge(metadata_of(network_of(entry)));
  const train::Description description = identity(options, data);
  train::Description of_checkpoint = metadata;
  of_checkpoint.insert(description.begin(), description.end());
  of_checkpoint[options_key] = json_of(options).dump();
  metadata.erase(start_key);

  const bool adapts = adapts_rate(plan.optimizer);
  const double rate = options.rate > 0 ? options.rate : adapts ? 1 : options.checkpoint.empty() ? 5e-4 : 5e-5;
  const LearningRate schedule =
      plan.schedule ? plan.schedule
                    : make_schedule(options.schedule, rate, options.warmup, steps, options.accumulate, adapts);
  const double weight_decay = std::max(options.weight_decay, 0.);
  const AnyOptimizer optimizer = make_optimizer(plan.optimizer, schedule, weight_decay);
  const train::ParameterGroups groups = make_groups(entry, {.rate = rate,
                                                            .embedding_rate = options.embedding_rate,
                                                            .time_rate = options.time_rate,
                                                            .frozen = options.frozen});
  SharedObjective shared = share(goal, parts, entry.table, windows.size(), options.fixed_order);
  train::Trainer trainer(
      shared, optimizer, groups,
      {.accumulate = options.accumulate,
       .max_norm = options.max_norm > 0 ? options.max_norm : std::numeric_limits<double>::infinity()});

  std::optional<SubStacker> held_windows;
  std::optional<Objective> held;  // its rollout keeps one tape
  if (data.validated > 0) {
    const train::Trajectories<float> out = data.trajectories(true);
    held_windows.emplace(out.count, out.states(), method.window(),
                         SubStacker::Options{.only_initial = method.snapshots() == 1});
    held.emplace(stepper, out, *held_windows, parts, method, pointer(references.stepper), pointer(references.residuum),
                 Activations::recompute);
  }
  const long epoch = std::max(1L, per_epoch / options.accumulate);
  Observer observer({.folder = folder,
                     .steps = steps,
                     .validate_every = !held                        ? 0
                                       : options.validate_every > 0 ? options.validate_every
                                                                    : epoch,
                     .checkpoint_every = options.checkpoint_every > 0 ? options.checkpoint_every : epoch,
                     .patience = options.patience,
                     .batch = options.batch,
                     .quiet = options.quiet,
                     .identity = description,
                     .of_checkpoint = of_checkpoint,
                     .of_weights = metadata},
                    entry.table, stepper.weights(), schedule,
                    [&held] { return Validation{.loss = held->full_value()}; });
  observer.remember(trainer);
  if (begun && first) observer.resume();
  if (begun) broadcast(observer.state());
  if (first && !options.quiet && !options.json) {
    const auto mib = [](std::size_t bytes) { return std::to_string(std::llround(std::ceil(to_mib(bytes)))) + " MiB"; };
    const std::size_t rollout = Objective::Memory::size(stepper, method.length(), activations) * sizeof(float);
    std::cout << entry.name << ", " << param_count(entry.table) << " parameters: " << weights << "\n"
              << data.text() << "\n"
              << options.method << " by " << options.loss << " on " << windows.size() << " windows of "
              << method.window() << " states; " << counted(static_cast<std::size_t>(steps), "step") << " of "
              << options.batch << " x " << options.accumulate << " windows, " << per_epoch
              << " minibatches an epoch; memory: rollout " << mib(rollout) << ", weights, gradient and moments "
              << mib(2 * entry.weight_bytes + observer.moment_bytes(entry.weight_bytes)) << ", frames "
              << mib(data.bytes()) << std::endl;
    if (begun) std::cout << "going on behind step " << trainer.step() << std::endl;
  }
  if (!first) {
    if (trainer.step() < steps) run_together(trainer, steps, observer);
    return;
  }
  prepare_folder(folder);
  observer.start(trainer.step());
  const std::string title =
      options.title.empty() ? std::string(entry.name) + ", " + options.method + ", " + data.info.name : options.title;
  if (trainer.step() >= steps) {
    observer.draw(title);  // may be what an earlier start was killed at
    if (!options.quiet) std::cerr << "fieldstep: " << last.string() << ": all " << steps << " steps are made\n";
    return;
  }
  run_and_draw(trainer, steps, observer, title);
  const Json about = summary(options, data, observer, trainer.step(), windows.size(), weights);
  io::write_text(folder / "train.json", about.dump(1) + "\n");
  if (options.json)
    std::cout << about.dump() << '\n';
  else if (!options.quiet)
    print_summary(about, folder);
}

}  // namespace fieldstep::cli
