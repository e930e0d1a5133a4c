#include <examples/cli/interruption.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/progress.hpp>
#include <examples/cli/rollout_data.hpp>
#include <fieldstep/core/error.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace fieldstep::cli {

namespace {

/// The compiled-in model that steps from such frames to the next: of several, the one that reads the most which leave
/// room for a window.
ModelEntry stepping_model(const Wanted& model, const io::DatasetInfo& info, int window, const std::string& path) {
  if (!info.inputs.empty() || info.steady)
    fail(path, ": ", info.name, " is no simulation whose frames are computed from one another, --method needs one");
  const Wanted wanted{.name = model.name,
                      .grid = std::to_string(info.height) + "x" + std::to_string(info.width),
                      .frames = model.frames,
                      .fields = static_cast<int>(info.fields.size())};
  std::vector<ModelEntry> entries = fitting(wanted);
  std::erase_if(entries, [](const ModelEntry& entry) { return entry.make_stepper == nullptr; });
  if (entries.empty()) refuse_untrainable(wanted, info);
  const auto needed = [&](const ModelEntry& entry) { return static_cast<std::size_t>(entry.frames + window - 1); };
  const std::size_t fewest = needed(std::ranges::min(entries, {}, &ModelEntry::frames));
  if (info.frames < fewest)
    fail(path, ": has ", counted(info.frames, "frame"), ", the method needs windows of ", fewest);
  std::erase_if(entries, [&](const ModelEntry& entry) { return needed(entry) > info.frames; });
  return std::ranges::max(entries, {}, &ModelEntry::frames);
}

/// Refuses what cannot be in one array with the first file's simulations.
void check_alike(const io::DatasetInfo& first, const io::DatasetInfo& info, const std::string& path) {
  const auto text = [](const io::DatasetInfo& i) {
    return counted(i.frames, "frame") + " of " + counted(i.fields.size(), "field") + " on " + std::to_string(i.height) +
           "x" + std::to_string(i.width) + " points";
  };
  if (text(info) != text(first))
    fail_usage("--data: ", path, " holds ", text(info), ", wanted ", text(first),
               " as in the first file: training over rollouts takes simulations that are all alike");
}

}  // namespace

train::Trajectories<float> RolloutData::trajectories(bool of_validation) const {
  return {.data = (of_validation ? validation : training).data(),
          .count = of_validation ? validated : trained,
          .frames = static_cast<int>(info.frames),
          .frame = entry.frame_size(),
          .history = entry.frames};
}

std::string RolloutData::text() const {
  return info.name + ", " + counted(static_cast<std::size_t>(trained), "simulation") + " of " +
         counted(info.frames, "frame") + " to train on and " + std::to_string(validated) + " to validate on";
}

RolloutData read_rollout_data(const DataOptions& options, const Wanted& wanted, int window, Key key, bool quiet) {
  const auto open = [&](const std::filesystem::path& path) { return io::open_dataset(path, options.problem); };
  std::vector<io::Dataset> files;
  std::size_t own = 0;
  for (const auto& path : listed(options.files)) {
    files.push_back(open(path));
    check_alike(files.front().info(), files.back().info(), path.string());
    own += files.back().info().samples;
  }
  for (const auto& path : listed(options.validation_files)) {
    files.push_back(open(path));
    check_alike(files.front().info(), files.back().info(), path.string());
  }
  const io::DatasetInfo& info = files.front().info();
  RolloutData data{.entry = stepping_model(wanted, info, window, options.files.front()),
                   .info = info,
                   .labels = options.labels.empty() ? info.labels : options.labels,
                   .boundaries = info.boundaries};
  if (!options.boundaries.empty()) data.boundaries = {options.boundaries[0], options.boundaries[1]};
  if (data.entry.lead_time) {
    const int per_unit = options.frames_per_unit > 0 ? options.frames_per_unit : info.frames_per_unit;
    if (per_unit == 0)
      fail_usage("--frames-per-unit: missing; ", info.name, " does not say how many frames a lead time of 1 spans");
    data.lead_time = 1 / static_cast<float>(per_unit);
  }

  using Values = io::Trajectories::Values;
  io::Trajectories all(data.entry.lead_time ? Values::normalised : Values::physical);
  for (io::Dataset& file : files) all.add(std::move(file));
  if (to_mib(all.bytes()) > options.memory_mib)
    fail_usage("--data: the frames need ", std::llround(std::ceil(to_mib(all.bytes()))), " MiB, --data-memory allows ",
               options.memory_mib, "; --method keeps all of them in memory");

  std::vector<char> kept_out(all.size(), false);
  std::fill(kept_out.begin() + static_cast<std::ptrdiff_t>(own), kept_out.end(), true);
  if (own == all.size() && own > 1 && options.validation > 0) {
    const auto share = std::llround(options.validation * static_cast<double>(own));
    const auto order = random_permutation(key, static_cast<std::int32_t>(own));
    for (std::size_t i = 0; i < std::clamp<std::size_t>(static_cast<std::size_t>(share), 1, own - 1); ++i)
      kept_out[static_cast<std::size_t>(order[i])] = true;
  }
  const std::size_t numbers = all.bytes() / sizeof(float) / all.size();  // of a simulation
  const auto held = static_cast<std::size_t>(std::ranges::count(kept_out, true));
  data.training.reserve(numbers * (all.size() - held)), data.validation.reserve(numbers * held);
  Progress progress("reading", static_cast<long>(all.size()), quiet);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::span<const float> frames = all.frames(i, 0, data.info.frames);
    std::vector<float>& to = kept_out[i] ? data.validation : data.training;
    to.insert(to.end(), frames.begin(), frames.end());
    ++(kept_out[i] ? data.validated : data.trained);
    progress.advance();
    Interruption::check();
  }
  return data;
}

}  // namespace fieldstep::cli
