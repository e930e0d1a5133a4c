#include <examples/cli/commands.hpp>
#include <examples/cli/interruption.hpp>
#include <examples/cli/loss.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/method_training.hpp>
#include <examples/cli/ranks.hpp>
#include <examples/cli/references.hpp>
#include <examples/cli/tidhy.hpp>
#include <examples/cli/training.hpp>
#include <examples/cli/training_options.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/init.hpp>
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/train/loss/channel_groups.hpp>
#include <fieldstep/train/loss/normalised_mse.hpp>
#include <fieldstep/train/permutation.hpp>
#include <fieldstep/train/set_sampler.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iostream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace fieldstep::cli {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

using Options = TrainingOptions;

/// The defaults that depend on other options.
void settle(Options& options, bool scot) {
  const bool adapts = adapts_rate(options.optimizer);
  if (options.rate == 0) options.rate = adapts ? 1 : options.checkpoint.empty() ? 5e-4 : 5e-5;
  if (options.weight_decay < 0) options.weight_decay = !decouples_decay(options.optimizer) ? 0 : scot ? 1e-6 : 1e-3;
  if (options.max_norm < 0) options.max_norm = scot ? 5 : 1;
}

/// Epochs, in minibatches, and the order of all of them.
struct Order {
  Sampler sampler;
  long per_epoch = 0, steps = 0;
  int batch = 0;
};

Order order_of(const Options& options, const TrainingData& data, Key key) {
  const auto steps_of = [&](long per_epoch) {
    return options.steps > 0 ? options.steps : std::max(1L, options.epochs * per_epoch / options.accumulate);
  };
  std::vector<std::int32_t> sizes;
  for (int set = 0; set < data.sets(); ++set) sizes.push_back(static_cast<std::int32_t>(data.set(set).trained));
  if (data.set(0).entry.lead_time) {
    const long per_epoch = (sizes[0] + std::min(options.batch, sizes[0]) - 1) / std::min(options.batch, sizes[0]);
    const long steps = steps_of(per_epoch);
    train::PermutationMixer mixer(sizes[0], steps * options.accumulate, options.batch, key);
    const int batch = mixer.batch_size();
    return {.sampler = std::move(mixer), .per_epoch = per_epoch, .steps = steps, .batch = batch};
  }
  for (std::size_t set = 0; set < sizes.size(); ++set)
    if (sizes[set] < options.batch)
      fail_usage("--batch: found ", options.batch, ", but ", data.set(static_cast<int>(set)).name, " has ",
                 counted(static_cast<std::size_t>(sizes[set]), "sample"), " to train on");
  const long all = std::numeric_limits<std::int32_t>::max();
  train::SetSampler sampler(sizes, options.batch, options.epoch_size > 0 ? options.epoch_size : all, key);
  const long per_epoch = sampler.per_epoch();
  return {.sampler = std::move(sampler), .per_epoch = per_epoch, .steps = steps_of(per_epoch), .batch = options.batch};
}

Loss loss_of(const TrainingSet& set) {
  if (!set.entry.lead_time) return train::NormalisedMse{};
  return
      [groups = groups_of(set)](int samples, int channels, int points, const float* y, const float* labels, float* dy) {
        return train::ChannelGroupLoss{.p = 1, .boundaries = groups}(samples, channels, points, y, labels, dy);
      };
}

/// What must not change from one start of a run to the next.
train::Description identity(const Options& options, const TrainingData& data) {
  const ModelEntry& entry = data.set(0).entry;
  return {{network_key, std::string(entry.name) + ", " + recognise(entry).text()},
          {"fieldstep.training.optimizer", options.optimizer},
          {"fieldstep.training.data", data.text()},
          {"fieldstep.training.seed", std::to_string(options.seed)},
          {"fieldstep.training.batch", std::to_string(options.batch) + " x " + std::to_string(options.accumulate)}};
}

/// What is about to happen.
void announce(const Options& options, const TrainingData& data, const Order& order, std::size_t passes,
              std::size_t moments, bool kept, const std::string& weights) {
  const auto mib = [](std::size_t bytes) { return std::to_string(std::llround(std::ceil(to_mib(bytes)))) + " MiB"; };
  std::cout << data.set(0).entry.name << ", " << param_count(data.set(0).entry.table) << " parameters: " << weights
            << "\n"
            << data.text() << '\n';
  for (int set = 0; set < data.sets(); ++set)
    if (data.set(set).split_within)
      std::cout << data.set(set).name << " is a single simulation: the samples to validate on share frames with those "
                << "to train on\n";
  std::cout << counted(static_cast<std::size_t>(order.steps), "step") << " of " << order.batch << " x "
            << options.accumulate << " samples, " << order.per_epoch
            << " minibatches an epoch; memory: weights, gradient "
            << "and passes " << mib(passes) << ", moments " << mib(moments) << ", frames "
            << (kept ? mib(data.bytes()) : "read when they are needed") << std::endl;
}

Json summary(const Options& options, const TrainingData& data, const Order& order, Observer& observer, long step,
             const std::string& weights) {
  Json about{{"family", data.set(0).entry.family},
             {"model", data.set(0).entry.name},
             {"data", data.text()},
             {"weights", weights},
             {"steps", step},
             {"epochs", static_cast<double>(step * options.accumulate) / static_cast<double>(order.per_epoch)},
             {"batch", order.batch},
             {"accumulate", options.accumulate},
             {"optimizer", options.optimizer},
             {"threads", Kokkos::DefaultHostExecutionSpace().concurrency()}};
  observer.sum_up(about);
  return about;
}

/// Whether pairs of frames are nothing for a model, as for small networks.
bool trains_over_rollouts_only(const std::string& model) {
  const std::vector<ModelEntry> entries = fitting({.name = model, .grid = {}});
  const auto steps = [](const ModelEntry& entry) { return entry.make_stepper && !entry.make_trainable; };
  return !model.empty() && !entries.empty() && std::ranges::all_of(entries, steps);
}

void run(Options options, const CLI::App& command) {
  const Interruption interruption;
  const bool first = Ranks::rank() == 0;  // who reads weights, writes and speaks
  options.quiet = options.quiet || !first;
  auto [begun, metadata] = begin(options, command);  // metadata: of what the run writes
  const fs::path folder = options.output, last = folder / "last.safetensors";
  if (options.method.empty() && trains_over_rollouts_only(options.model.name)) options.method = "one";
  const bool over_rollouts = !options.method.empty();
  const bool length_in_text = over_rollouts && options.optimizer.find(';') != std::string::npos;
  if (options.model.name.empty() || options.data.files.empty() ||
      (!length_in_text && (options.steps == 0) == (options.epochs == 0)))
    fail_usage("train: wanted --model, --data and either --steps or --epochs",
               options.resume ? ", which no checkpoint of " + options.output + " tells" : "");
  if (over_rollouts) return train_by_method(std::move(options), begun, std::move(metadata));
  if (parse_optimizer(options.optimizer))
    fail_usage("--optimizer: descriptions go with --method, found ", options.optimizer);

  const KokkosThreads kokkos(options.threads);
  const Key key = make_key(options.seed), for_weights = split(key, 0, 3), for_order = split(key, 1, 3),
            for_split = split(key, 2, 3);
  TrainingData data(options.data, options.model, for_split);
  const ModelEntry& entry = data.set(0).entry;
  settle(options, entry.lead_time);
  const Order order = order_of(options, data, for_order);
  const auto activations = options.recompute ? Activations::recompute : Activations::keep;
  const std::size_t passes = TrainingNetworks::bytes(data, order.batch, activations);
  bool kept = false;
  {
    std::optional<Progress> progress;
    kept = data.keep(options.data.memory_mib, [&](int, int total) {
      if (!progress) progress.emplace("reading", total, options.quiet);
      progress->advance();
      Interruption::check();
    });
  }

  TrainingNetworks networks(data, order.batch, activations);
  std::string weights = begun || !first
                            ? metadata[start_key]
                            : start_weights(options, data.set(0).entry, networks.weights(), for_weights, metadata);
  for (int set = 0; set < data.sets(); ++set) networks.condition(set);  // refuses what does not fit before the start
  metadata[start_key] = weights;
  metadata.merge(metadata_of(network_of(entry)));
  train::Description description = identity(options, data), of_checkpoint = metadata;
  of_checkpoint.insert(description.begin(), description.end());
  of_checkpoint[options_key] = json_of(options).dump();
  metadata.erase(start_key);

  const LearningRate schedule = make_schedule(options.schedule, options.rate, options.warmup, order.steps,
                                              options.accumulate, adapts_rate(options.optimizer));
  const AnyOptimizer optimizer = make_optimizer(options.optimizer, schedule, options.weight_decay);
  const train::ParameterGroups groups = make_groups(entry, {.rate = options.rate,
                                                            .embedding_rate = options.embedding_rate,
                                                            .time_rate = options.time_rate,
                                                            .frozen = options.frozen});
  Sampler whole = order.sampler;
  SampleParts parts(whole, minibatch_parts(options.fixed_order));
  Sampler sampler = std::ref(parts);
  Goal goal(networks, data, sampler, loss_of(data.set(0)), order.batch);
  std::int64_t samples = 0;
  for (int set = 0; set < data.sets(); ++set) samples += static_cast<std::int64_t>(data.set(set).trained);
  SharedObjective shared = share(goal, parts, networks.table(), samples, options.fixed_order);
  train::Trainer trainer(
      shared, optimizer, groups,
      {.accumulate = options.accumulate,
       .max_norm = options.max_norm > 0 ? options.max_norm : std::numeric_limits<double>::infinity()});
  bool validates = false;
  for (int set = 0; set < data.sets(); ++set) validates = validates || data.set(set).validated() > 0;
  const long epoch = std::max(1L, order.per_epoch / options.accumulate);
  Observer observer({.folder = folder,
                     .steps = order.steps,
                     .validate_every = !validates                   ? 0
                                       : options.validate_every > 0 ? options.validate_every
                                                                    : epoch,
                     .checkpoint_every = options.checkpoint_every > 0 ? options.checkpoint_every : epoch,
                     .patience = options.patience,
                     .batch = order.batch,
                     .quiet = options.quiet,
                     .identity = description,
                     .of_checkpoint = of_checkpoint,
                     .of_weights = metadata},
                    goal, data, networks.table(), schedule);
  observer.remember(trainer);
  const std::size_t moments = observer.moment_bytes(entry.weight_bytes);
  if (begun && first) observer.resume();
  if (begun) broadcast(observer.state());
  if (!first) {
    if (trainer.step() < order.steps) run_together(trainer, order.steps, observer);
    return;
  }
  if (!options.quiet && !options.json) announce(options, data, order, passes, moments, kept, weights);
  if (begun && !options.quiet && !options.json) std::cout << "going on behind step " << trainer.step() << std::endl;
  prepare_folder(folder);
  observer.start(trainer.step());
  const std::string title = options.title.empty() ? std::string(entry.name) + ", " + data.set(0).name : options.title;
  if (trainer.step() >= order.steps) {
    observer.draw(title);  // may be what an earlier start was killed at
    if (!options.quiet) std::cerr << "fieldstep: " << last.string() << ": all " << order.steps << " steps are made\n";
    return;
  }
  run_and_draw(trainer, order.steps, observer, title);
  const Json about = summary(options, data, order, observer, trainer.step(), weights);
  io::write_text(folder / "train.json", about.dump(1) + "\n");
  if (options.json)
    std::cout << about.dump() << '\n';
  else if (!options.quiet)
    print_summary(about, folder);
}

/// Whether it is a TiDHy, which a run that goes on may leave to its checkpoint to say.
bool learns_sequences(const Options& options, const std::vector<std::uint64_t>& seeds) {
  if (!options.model.name.empty() || !options.resume) return is_tidhy(options.model.name);
  const Options one = seeds.empty() ? options : of_seed(options, seeds.front());
  const fs::path last = fs::path(one.output) / "last.safetensors";
  return fs::exists(last) && io::read_safetensors(last).metadata.contains(tidhy_key);
}

/// Descriptions are read later, where their faults get sentences of their own.
std::string described_optimizer(const std::string& text) {
  return text.find(';') == text.npos ? "is no description" : "";
}

/// The run, or one for every seed, one after the other in folders of their own; of TiDHys side by side.
void run_seeds(const Options& options, const std::vector<std::uint64_t>& seeds, const CLI::App& command) {
  if (!seeds.empty()) {
    std::error_code error;
    if (!fs::exists(options.output)) fs::create_directory(options.output, error);
    if (error) fail(options.output, ": cannot be created (", error.message(), ")");
  }
  if (learns_sequences(options, seeds)) return train_tidhy(options, seeds, command);
  if (seeds.empty()) return run(options, command);
  const KokkosThreads kokkos(options.threads);  // which can be started once only
  for (const std::uint64_t seed : seeds) run(of_seed(options, seed), command);
}

}  // namespace

void add_train(CLI::App& app) {
  CLI::App& command =
      *app.add_subcommand("train", "Train a network on simulations of files, from scratch or from weights");
  const auto options = std::make_shared<Options>();
  Options& o = *options;
  const auto count = [&](const char* name, auto& value, const char* text) {
    return command.add_option(name, value, text)->check(CLI::PositiveNumber);
  };
  CLI::Option* const model =
      command.add_option("--model", o.model.name, "Compiled-in model, such as poseidon-T or avit-Ti");
  command
      .add_option_function<std::string>(
          "--network",
          [options](const std::string& name) {
            check_small_network(name);
            options->model.name = name;
          },
          "Instead: a small network by APEBench's description, Conv;hidden;depth;activation or Res;...")
      ->excludes(model);
  command.add_option(
      "--method", o.method,
      "Train over rollouts: one, sup;R[;CUT], tf;R;F, div;R[;B][;CUT[;CUT]], mix;R;K[;CUT], res;R[;CUT]");
  command.add_option("--loss", o.loss, std::string("Of --method, per step of the rollout: ") + loss_names)
      ->capture_default_str();
  command.add_option("--reference", o.reference,
                     std::string("Of --method div, mix, res: built-in physics, ") + reference_names);
  count("--frames", o.model.frames, "AViT: frames that it reads; default: the most that are compiled in");
  command.add_option(
      "--data", o.data.files,
      "Files or folders of PDEBench, Poseidon, the Well or .npy; of TiDHy recordings, .csv, .npy, .h5[:DATASET]");
  command.add_option("--validation-data", o.data.validation_files,
                     "Files or folders to validate on; default: --validation");
  command.add_option("--validation", o.data.validation, "Share of the simulations that is kept out of training")
      ->check(CLI::Range(0., .9))
      ->capture_default_str();
  command.add_option("--problem", o.data.problem, "Poseidon's name of the set; default: a file's name if it is one");
  command.add_option("--labels", o.data.labels, "State of every field in MPP's vocabulary; default: the set's own")
      ->delimiter(',');
  command.add_option("--bcs", o.data.boundaries, "Boundaries of width and height, 1 periodic or 0 open")
      ->delimiter(',')
      ->expected(2)
      ->check(CLI::Range(0, 1));
  count("--pair-step", o.data.pair_step, "ScOT: frames between the times that are paired up; default: the set's own");
  command.add_option("--pair-last", o.data.pair_last, "ScOT: the last of these times")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--transitions", o.data.transitions, "ScOT: differences of these times to learn; default: all")
      ->delimiter(',');
  count("--frames-per-unit", o.data.frames_per_unit,
        "ScOT: frames that a lead time of 1 spans; default: the set's own");
  count("--data-memory", o.data.memory_mib, "Most MiB of frames to keep in memory; more are read when they are needed")
      ->capture_default_str();
  count("--window", o.sequences.window, "TiDHy: times of a sequence that longer recordings are cut into");
  count("--stride", o.sequences.stride, "TiDHy: times between the starts of two such; default: --window");
  command.add_flag("--standardise", o.sequences.standardise, "TiDHy: every channel to mean 0 and deviation 1");
  command.add_option(
      "--set", o.settings,
      "TiDHy: NAME=VALUE by the names of its NNX port, such as lr_r=0.2 max_iter=50; a wrong one lists all");
  command.add_option("--checkpoint", o.checkpoint,
                     "Weights to start from, in any format; what does not fit is drawn anew");
  command.add_option("--output", o.output, "Folder of the run")->required();
  count("--steps", o.steps, "Updates of the weights");
  count("--epochs", o.epochs, "Instead: times that all samples are gone through");
  count("--epoch-size", o.epoch_size, "AViT: minibatches that end an epoch; default: when all samples are used up");
  count("--batch", o.batch, "Samples of a minibatch")->capture_default_str();
  count("--accumulate", o.accumulate, "Minibatches of an update")->capture_default_str();
  command
      .add_option("--optimizer", o.optimizer,
                  "Optimizer; with --method also as APEBench describes it, adam;10_000;warmup_cosine;0.0;1e-3;2_000")
      ->check(CLI::IsMember(optimizer_names) |
              CLI::Validator(described_optimizer, "NAME;UPDATES;SCHEDULE;...", "described"))
      ->capture_default_str();
  command.add_option("--schedule", o.schedule, "Of the learning rate")
      ->check(CLI::IsMember(schedule_names))
      ->capture_default_str();
  count("--lr", o.rate, "Learning rate; default 5e-4, with --checkpoint 5e-5, with dadapt- a factor of 1");
  count("--lr-embedding", o.embedding_rate, "ScOT: of embedding and recovery; default: --lr");
  count("--lr-time", o.time_rate, "ScOT: of the norms that read the lead time; default: --lr");
  command.add_option("--warmup", o.warmup, "Steps in which the learning rate rises from 0")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--weight-decay", o.weight_decay, "Default: AViT 1e-3, ScOT 1e-6, 0 where it is part of the gradient")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--clip", o.max_norm, "Largest norm of a gradient, 0: any; default: AViT 1, ScOT 5")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--freeze", o.frozen, "Parameters that stay: middle, processor (AViT) or how their paths begin")
      ->delimiter(',');
  count("--validate-every", o.validate_every, "Steps between validations; default: an epoch");
  count("--checkpoint-every", o.checkpoint_every, "Steps between checkpoints; default: an epoch");
  count("--patience", o.patience, "Ends the run after so many validations without a better one");
  CLI::Option* const seed = command.add_option("--seed", o.seed, "Of new weights, order and split");
  seed->capture_default_str();
  const auto seeds = std::make_shared<std::vector<std::uint64_t>>();
  command.add_option("--seeds", *seeds, "Instead: several, 0,1,2, each with a run of its own in OUTPUT/seed_0, ...")
      ->delimiter(',')
      ->excludes(seed);
  command.add_flag("--fixed-order", o.fixed_order, "Under mpirun: equal bits for any number of processes up to 8");
  command.add_flag("--recompute", o.recompute, "Less memory: compute activations once more on the way back");
  count("--threads", o.threads, "Threads, exactly; default: OMP_NUM_THREADS or all processors");
  command.add_flag("--resume", o.resume, "Go on from OUTPUT/last.safetensors; options left out are those of its start");
  command.add_option("--title", o.title, "Title of the curves");
  command.add_flag("--json", o.json, "Print the summary as JSON");
  command.add_flag("--quiet", o.quiet, "Print nothing but errors");
  command.footer(
      "AViT learns the next frame from windows, of several sets with different fields at once; ScOT all later frames\n"
      "from all frames, with the lead time. OUTPUT gets last.safetensors (weights, optimizer, place in the run),\n"
      "best.safetensors (weights of the best validation), log.jsonl (a line a step), loss.png and train.json. A run "
      "that\n"
      "was killed goes on with --resume, bit for bit; Ctrl-C ends it behind the step that is being made.\n"
      "Example: fieldstep train --model poseidon-T --checkpoint Poseidon-T --data NS-PwC.nc --epochs 20 --batch 8 \\\n"
      "           --lr-embedding 5e-4 --lr-time 5e-4 --output vortices\n"
      "         fieldstep train --model avit-Ti --data pdebench/ --steps 10000 --accumulate 5 --output pdebench_ti\n"
      "With --method every network learns over rollouts from windows of equally long simulations, all in memory; .npy\n"
      "files are (simulations, snapshots, fields, height, width). CUT is true or false. There is no clipping and no\n"
      "weight decay unless asked for. Small networks know no other way; without --method theirs is one.\n"
      "TiDHy (--model tidhy) learns from recordings: rows are times, columns channels, of several sequences "
      "(sequences,\n"
      "times, channels). Its minibatches are shuffled, those that do not fill a batch are left out; a batch is all\n"
      "sequences unless --batch says otherwise. --seeds trains side by side, a seed a thread.\n"
      "Example: fieldstep train --network 'Conv;32;4;relu' --method 'sup;5;true' --data flows.npy --batch 8 \\\n"
      "           --optimizer 'adam;10_000;warmup_cosine;0.0;1e-3;2_000' --loss nmse --seeds 0,1 --output emulator");
  command.callback([options, seeds, &command] { run_seeds(*options, *seeds, command); });
}

}  // namespace fieldstep::cli
