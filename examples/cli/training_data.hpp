#pragma once
#include <examples/cli/models.hpp>
#include <fieldstep/core/random.hpp>
#include <fieldstep/embed/conditions.hpp>
#include <fieldstep/io/dataset/trajectories.hpp>
#include <fieldstep/train/regression.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

/// From files of simulations to samples that networks learn from.
namespace fieldstep::cli {

/// What the command line says of data. Empty, 0: nothing.
struct DataOptions {
  std::vector<std::string> files, validation_files;  ///< files or folders
  std::string problem;
  std::vector<int> labels, boundaries;
  double validation = .1;  ///< share of the simulations that is kept out of training
  int pair_step = 0, pair_last = 7, frames_per_unit = 0;
  std::vector<int> transitions;
  double memory_mib = 8192;  ///< most that frames may occupy; beyond that they are read when they are needed
};

/// The files themselves, and those of folders by name.
std::vector<std::filesystem::path> listed(const std::vector<std::string>& names);

/// Says that no compiled-in model that can be trained reads and computes such frames, and the line that adds one.
[[noreturn]] void refuse_untrainable(const Wanted& wanted, const io::DatasetInfo& info);

/// A sample: what is read and what is to be computed from it.
struct Example {
  std::int32_t trajectory;
  int first, target;  ///< the first frame read, the frame to compute
  float lead_time;
};

/// Simulations of the same fields on the same grid, with the network that learns from them.
struct TrainingSet {
  ModelEntry entry;
  io::Trajectories trajectories;
  std::string name;
  std::vector<int> labels;
  std::array<int, 2> boundaries{};
  std::vector<Example> examples{};  ///< those to train on, then those to validate on
  std::size_t trained = 0;          ///< number of the former
  bool split_within = false;        ///< of a single simulation, parts of it are kept out

  std::size_t validated() const { return examples.size() - trained; }
  embed::Conditions conditions() const { return {.labels = labels, .boundaries = boundaries}; }
};

/// All sets of a run: train::TrainingData. A minibatch's samples are places in the list of its set's examples.
class TrainingData {
 public:
  /// Opens the files, chooses the networks among the compiled-in models that fit `wanted`, and splits by the key.
  TrainingData(const DataOptions& options, const Wanted& wanted, Key key);

  int sets() const { return static_cast<int>(sets_.size()); }
  const TrainingSet& set(int i) const { return sets_[static_cast<std::size_t>(i)]; }

  /// Reads all frames, if they fit; calls advance() after each trajectory.
  bool keep(double memory_mib, const std::function<void(int done, int total)>& advance);
  std::size_t bytes() const;

  /// What distinguishes the data of two runs, as text.
  std::string text() const;

  train::SampleShape shape(int set) const;
  void gather(const train::Minibatch& minibatch, float* x, float* lead_times, float* target);
  void impose_known(const train::Minibatch& minibatch, const float* target, float* y);

 private:
  TrainingSet& mutable_set(const train::Minibatch& minibatch) { return sets_[static_cast<std::size_t>(minibatch.set)]; }

  std::vector<TrainingSet> sets_;
};

}  // namespace fieldstep::cli
