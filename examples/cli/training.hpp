#pragma once
#include <examples/cli/optimizer.hpp>
#include <examples/cli/progress.hpp>
#include <examples/cli/training_log.hpp>
#include <examples/cli/training_networks.hpp>
#include <fieldstep/train/best_so_far.hpp>
#include <fieldstep/train/checkpoint.hpp>
#include <fieldstep/train/minibatch_parts.hpp>
#include <fieldstep/train/trainer.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// A training as the program runs it: what happens beside the updates.
namespace fieldstep::cli {

using Sampler = std::function<train::Minibatch(long)>;
using Loss = std::function<double(int, int, int, const float*, const float*, float*)>;
using SampleParts = train::MinibatchParts<Sampler>;  // so that several processes can share a minibatch
using Goal = train::Regression<TrainingNetworks, TrainingData, Sampler, Loss>;

/// Boundaries of the groups of fields that ScOT computes, of which losses and errors are taken.
std::vector<int> groups_of(const TrainingSet& set);

/// How good the forecasts of the samples kept out of training are.
struct Validation {
  double loss = 0;                  ///< mean over samples
  nlohmann::ordered_json metric{};  ///< the original's own
};
Validation validate(Goal& goal, const TrainingData& data, int batch);

/// What a run made and left, from its summary.
void print_summary(const nlohmann::ordered_json& about, const std::filesystem::path& folder);

/// Seconds that a run took, over all its starts.
class Stopwatch {
 public:
  /// Brings what visit() shows up to date.
  double lap() {
    const auto now = Clock::now();
    seconds_ += std::chrono::duration<double>(now - std::exchange(since_, now)).count();
    return seconds_;
  }
  void visit(const auto& show) { show("seconds", seconds_); }

 private:
  using Clock = std::chrono::steady_clock;
  double seconds_ = 0;
  Clock::time_point since_ = Clock::now();
};

/// What a run keeps in its folder and when: log.jsonl at every step, best.safetensors (weights) whenever a validation
/// is the best so far, last.safetensors (everything) at the end, when it is interrupted, and in between.
class Observer {
 public:
  struct Options {
    std::filesystem::path folder;
    long steps, validate_every, checkpoint_every, patience;
    int batch;
    bool quiet;
    train::Description identity;                   ///< what a checkpoint must agree in
    train::Description of_checkpoint, of_weights;  ///< metadata
  };

  using Validate = std::function<Validation()>;

  Observer(const Options& options, ParamTable table, float* weights, const LearningRate& schedule, Validate validate)
      : options_(options),
        validate_(std::move(validate)),
        table_(table),
        weights_(weights),
        schedule_(schedule),
        state_(table, weights) {}
  Observer(const Options& options, Goal& goal, const TrainingData& data, ParamTable table, const LearningRate& schedule)
      : Observer(options, table, goal.weights(), schedule,
                 [&goal, &data, batch = options.batch] { return validate(goal, data, batch); }) {}

  /// Everything that has to be in a checkpoint, before the start.
  void remember(auto&... parts) { (state_.add(parts), ...), state_.add(best_), state_.add(watch_); }
  /// Of the arenas beside the weights.
  std::size_t moment_bytes(std::size_t arena_bytes) const { return (state_.arenas().size() - 1) * arena_bytes; }
  std::filesystem::path checkpoint() const { return options_.folder / "last.safetensors"; }
  void resume() { train::load_checkpoint(checkpoint(), state_, options_.identity); }
  const train::TrainingState<float>& state() const { return state_; }

  /// To be called at step 0 or that of the checkpoint.
  void start(long step);

  bool on_step(const train::Update& update);
  void save(long step);
  long saved_step() const { return saved_step_; }  ///< of the checkpoint that is there
  /// When all is done: draws the curves; says on the error stream why there are none, if so.
  void draw(const std::string& title);

  /// What a run made, into its summary.
  void sum_up(nlohmann::ordered_json& about);

 private:
  Options options_;
  Validate validate_;
  ParamTable table_;
  float* weights_;
  LearningRate schedule_;
  train::TrainingState<float> state_;
  train::BestSoFar best_;
  Stopwatch watch_;
  std::optional<TrainingLog> log_;
  std::optional<Progress> progress_;
  std::optional<Validation> validation_;
  long saved_step_ = 0;
  std::optional<double> first_loss_;
  double last_loss_ = 0;
};

}  // namespace fieldstep::cli
