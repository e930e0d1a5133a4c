#include <examples/cli/training_data.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/pairs.hpp>
#include <fieldstep/train/substack.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <utility>

namespace fieldstep::cli {

namespace fs = std::filesystem;

std::vector<fs::path> listed(const std::vector<std::string>& names) {
  std::vector<fs::path> files;
  for (const std::string& name : names) {
    if (!fs::is_directory(name)) {
      files.emplace_back(name);
      continue;
    }
    const std::size_t before = files.size();
    for (const fs::directory_entry& entry : fs::directory_iterator(name)) {
      const std::string ending = entry.path().extension().string();
      if (ending == ".h5" || ending == ".hdf5" || ending == ".nc" || ending == ".npy") files.push_back(entry.path());
    }
    if (files.size() == before) fail(name, ": holds no file that ends in .h5, .hdf5, .nc or .npy");
    std::sort(files.begin() + static_cast<std::ptrdiff_t>(before), files.end());
  }
  return files;
}

void refuse_untrainable(const Wanted& wanted, const io::DatasetInfo& info) {
  Network network;
  for (const ModelEntry& entry : embed::compiled_models())
    if (entry.name == wanted.name) network = network_of(entry);
  network.sizes.num_channels = wanted.fields, network.sizes.num_out_channels = std::ssize(info.fields);
  refuse_untrainable(wanted, network);
}

namespace {

/// The compiled-in model that learns from such frames: of several, the one that reads the most that leave one to
/// compute.
ModelEntry trainable_model(const Wanted& model, const io::DatasetInfo& info, const std::string& path) {
  const std::vector<std::string>& channels = info.inputs.empty() ? info.fields : info.inputs;
  const Wanted wanted{.name = model.name,
                      .grid = std::to_string(info.height) + "x" + std::to_string(info.width),
                      .frames = model.frames,
                      .fields = static_cast<int>(channels.size())};
  std::vector<ModelEntry> entries = fitting(wanted);
  std::erase_if(entries, [](const ModelEntry& entry) { return entry.make_trainable == nullptr; });
  if (entries.empty()) refuse_untrainable(wanted, info);
  const auto frames_needed = [](const ModelEntry& entry) {
    return static_cast<std::size_t>(entry.frames) + (entry.lead_time ? 0 : 1);
  };
  const std::size_t fewest = frames_needed(std::ranges::min(entries, {}, frames_needed));
  if (info.frames < fewest)
    fail(path, ": has ", counted(info.frames, "frame"), ", training needs ", fewest,
         ": what the model reads and one more");
  std::erase_if(entries, [&](const ModelEntry& entry) { return frames_needed(entry) > info.frames; });
  return std::ranges::max(entries, {}, frames_needed);
}

/// Whether simulations of two files can be in one set.
bool alike(const TrainingSet& set, const io::DatasetInfo& info) {
  const io::DatasetInfo& known = set.trajectories.info(0);
  if (known.height != info.height || known.width != info.width || known.fields.size() != info.fields.size() ||
      known.inputs.size() != info.inputs.size())
    return false;
  // A network with lead times learns from several sets at once, as long as their channels are the same.
  if (set.entry.lead_time)
    return known.fields == info.fields && known.inputs == info.inputs && known.groups == info.groups;
  return known.name == info.name && known.fields == info.fields && known.labels == info.labels &&
         known.boundaries == info.boundaries;
}

/// The samples of a trajectory at the end of the list.
void append_examples(std::vector<Example>& examples, const TrainingSet& set, std::int32_t trajectory,
                     const DataOptions& options) {
  const io::DatasetInfo& info = set.trajectories.info(static_cast<std::size_t>(trajectory));
  const int frames = static_cast<int>(info.frames);
  if (info.steady) {
    examples.push_back({.trajectory = trajectory, .first = 0, .target = 0, .lead_time = 1});
  } else if (set.entry.lead_time) {
    const int per_unit = options.frames_per_unit > 0 ? options.frames_per_unit : info.frames_per_unit;
    if (per_unit == 0)
      fail_usage("--frames-per-unit: missing; ", info.name, " does not say how many frames a lead time of 1 spans");
    const train::AllToAllPairs pairs(1, frames,
                                     {.step = options.pair_step > 0 ? options.pair_step : info.pair_step,
                                      .last = options.pair_last,
                                      .frames_per_unit = per_unit,
                                      .transitions = options.transitions});
    for (std::int64_t i = 0; i < pairs.size(); ++i) {
      const train::FramePair pair = pairs(i);
      examples.push_back(
          {.trajectory = trajectory, .first = pair.from, .target = pair.to, .lead_time = pair.lead_time});
    }
  } else {
    const train::SubStacker windows(1, frames, set.entry.frames + 1);
    for (std::int64_t i = 0; i < windows.size(); ++i) {
      const train::Window window = windows(i);
      examples.push_back(
          {.trajectory = trajectory, .first = window.first, .target = window.first + set.entry.frames, .lead_time = 0});
    }
  }
}

/// The set's samples in two parts. Simulations before `own` are divided by the key, the others are for validation.
void split(TrainingSet& set, std::size_t own, const DataOptions& options, Key key) {
  std::vector<Example> training, validation;
  const auto share = [&](std::size_t n) {
    const auto part = static_cast<std::size_t>(std::llround(options.validation * static_cast<double>(n)));
    return options.validation > 0 && n > 1 ? std::clamp<std::size_t>(part, 1, n - 1) : 0;
  };
  const bool divide = own == set.trajectories.size();  // no files of their own for validation
  const std::vector<std::int32_t> order = random_permutation(key, static_cast<std::int32_t>(own));
  std::vector<char> kept_out(set.trajectories.size(), false);
  for (std::size_t i = 0; divide && i < share(own); ++i) kept_out[static_cast<std::size_t>(order[i])] = true;
  for (std::size_t i = own; i < kept_out.size(); ++i) kept_out[i] = true;
  for (std::size_t i = 0; i < kept_out.size(); ++i)
    append_examples(kept_out[i] ? validation : training, set, static_cast<std::int32_t>(i), options);
  if (divide && own == 1) {
    const std::size_t n = share(training.size());
    const std::vector<std::int32_t> parts = random_permutation(key, static_cast<std::int32_t>(training.size()));
    std::vector<char> out(training.size(), false);
    for (std::size_t i = 0; i < n; ++i) out[static_cast<std::size_t>(parts[i])] = true;
    std::vector<Example> rest;
    for (std::size_t i = 0; i < training.size(); ++i) (out[i] ? validation : rest).push_back(training[i]);
    training = std::move(rest);
    set.split_within = n > 0;
  }
  set.trained = training.size();
  set.examples = std::move(training);
  set.examples.insert(set.examples.end(), validation.begin(), validation.end());
}

}  // namespace

TrainingData::TrainingData(const DataOptions& options, const Wanted& wanted, Key key) {
  std::vector<std::size_t> own;  // simulations of every set that are not for validation alone
  const auto take = [&](const fs::path& path, bool for_validation) {
    io::Dataset file = io::open_dataset(path, options.problem);
    const io::DatasetInfo& info = file.info();
    const auto known = std::ranges::find_if(sets_, [&](const TrainingSet& set) { return alike(set, info); });
    std::size_t at = static_cast<std::size_t>(known - sets_.begin());
    if (known == sets_.end()) {
      if (for_validation)
        fail_usage("--validation-data: ", path.string(), " holds ", info.name,
                   ", which is none of the sets that are trained on");
      const ModelEntry entry = trainable_model(wanted, info, path.string());
      if (!sets_.empty() && entry.lead_time)
        fail_usage("--data: ", path.string(), " holds other fields than ", sets_.front().name,
                   ", wanted the same: one ", entry.name, " reads all");
      using Values = io::Trajectories::Values;
      sets_.push_back({.entry = entry,
                       .trajectories = io::Trajectories(entry.lead_time ? Values::normalised : Values::physical),
                       .name = info.name,
                       .labels = info.labels,
                       .boundaries = info.boundaries});
      own.push_back(0);
    }
    TrainingSet& set = sets_[at];
    // Set by set the fewest frames decide what a network may read.
    const ModelEntry entry = trainable_model(wanted, info, path.string());
    if (entry.frames < set.entry.frames) set.entry = entry;
    if (!for_validation) own[at] += info.samples;
    set.trajectories.add(std::move(file));
  };
  for (const fs::path& path : listed(options.files)) take(path, false);
  for (const fs::path& path : listed(options.validation_files)) take(path, true);
  for (std::size_t i = 0; i < sets_.size(); ++i) {
    TrainingSet& set = sets_[i];
    if (!options.labels.empty() || !options.boundaries.empty()) {
      if (sets_.size() > 1) fail_usage("--labels, --bcs: found ", sets_.size(), " sets of data, wanted one");
      if (!options.labels.empty()) set.labels = options.labels;
      if (!options.boundaries.empty()) set.boundaries = {options.boundaries[0], options.boundaries[1]};
    }
    split(set, own[i], options, fieldstep::split(key, i, sets_.size()));
  }
}

std::size_t TrainingData::bytes() const {
  std::size_t sum = 0;
  for (const TrainingSet& set : sets_) sum += set.trajectories.bytes();
  return sum;
}

bool TrainingData::keep(double memory_mib, const std::function<void(int, int)>& advance) {
  if (static_cast<double>(bytes()) > memory_mib * 1024 * 1024) return false;
  std::size_t total = 0;
  int done = 0;
  for (const TrainingSet& set : sets_) total += set.trajectories.size();
  for (TrainingSet& set : sets_) set.trajectories.keep([&] { advance(++done, static_cast<int>(total)); });
  return true;
}

std::string TrainingData::text() const {
  std::string text;
  for (const TrainingSet& set : sets_)
    text += (text.empty() ? "" : "; ") + set.name + ", " + counted(set.trajectories.size(), "simulation") + ", " +
            counted(set.trained, "sample") + " to train on and " + std::to_string(set.validated()) + " to validate on";
  return text;
}

train::SampleShape TrainingData::shape(int i) const {
  const ModelEntry& entry = set(i).entry;
  return {.input = static_cast<std::size_t>(entry.frames) * entry.frame_size(),
          .channels = entry.out_fields,
          .points = static_cast<int>(entry.points())};
}

void TrainingData::gather(const train::Minibatch& minibatch, float* x, float* lead_times, float* target) {
  TrainingSet& set = mutable_set(minibatch);
  const std::size_t out_size = set.entry.out_size();
  for (const std::int32_t i : minibatch.samples) {
    const Example& example = set.examples[static_cast<std::size_t>(i)];
    const auto trajectory = static_cast<std::size_t>(example.trajectory),
               first = static_cast<std::size_t>(example.first);
    x = std::ranges::copy(set.entry.lead_time
                              ? set.trajectories.input(trajectory, first)
                              : set.trajectories.frames(trajectory, first, static_cast<std::size_t>(set.entry.frames)),
                          x)
            .out;
    const std::span<const float> wanted =
        set.trajectories.frames(trajectory, static_cast<std::size_t>(example.target), 1);
    target = std::ranges::copy(wanted.first(out_size), target).out;
    *lead_times++ = example.lead_time;
  }
}

void TrainingData::impose_known(const train::Minibatch& minibatch, const float* target, float* y) {
  TrainingSet& set = mutable_set(minibatch);
  if (!set.entry.lead_time) return;
  for (const std::int32_t i : minibatch.samples) {
    const auto trajectory = static_cast<std::size_t>(set.examples[static_cast<std::size_t>(i)].trajectory);
    const std::span<const unsigned char> known = set.trajectories.known(trajectory);
    for (std::size_t p = 0; !known.empty() && p < set.entry.out_size(); ++p)
      if (known[p]) y[p] = target[p];
    y += set.entry.out_size(), target += set.entry.out_size();
  }
}

}  // namespace fieldstep::cli
