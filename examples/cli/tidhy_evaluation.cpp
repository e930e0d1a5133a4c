#include <examples/cli/interruption.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/output_folder.hpp>
#include <examples/cli/progress.hpp>
#include <examples/cli/tidhy.hpp>
#include <fieldstep/core/clustering.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/curves.hpp>
#include <fieldstep/io/hdf5_recording.hpp>
#include <fieldstep/io/hdf5_write.hpp>
#include <fieldstep/io/npz.hpp>
#include <fieldstep/io/panels.hpp>
#include <fieldstep/io/weights.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <set>
#include <span>
#include <utility>

namespace fieldstep::cli {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Record = models::TidhyRecord<float>;

std::string metadata_of(const io::TensorFile& file, const std::string& key) {
  const auto found = file.metadata.find(key);
  return found == file.metadata.end() ? "" : found->second;
}

/// The hidden states of every sequence and time, where somebody knows them.
std::vector<int> read_states(const TidhyEvaluation& options, const SequenceSet& set) {
  if (options.states.empty()) return {};
  const io::Recording read = io::read_any_recording(options.states);
  const auto wanted = static_cast<std::size_t>(set.count) * static_cast<std::size_t>(set.time);
  if (read.values.size() != wanted)
    fail(options.states, ": holds ", read.values.size(), " states, wanted one for each of the ", wanted,
         " times of the data");
  std::vector<int> states;
  for (const float state : read.values) {
    if (state != std::floor(state) || std::abs(state) > 1e6F)
      fail(options.states, ": found state ", state, ", wanted whole numbers");
    states.push_back(static_cast<int>(state));
  }
  return states;
}

/// Groups of the mixture weights from the time on at which they are about a change, and the true states beside them.
struct States {
  std::vector<int> found, truth;
  int from = 0;                    ///< the first time of a sequence that they are of
  std::vector<double> switches{};  ///< of the pictured sequence: times at which its state changes
};

States states_of(const TidhyEvaluation& options, const Record& record, const std::vector<int>& truth) {
  States states{.found = {}, .truth = {}, .from = std::max(1, options.state_lag)};
  const auto T = static_cast<std::size_t>(record.time), M = static_cast<std::size_t>(record.M);
  const auto from = static_cast<std::size_t>(states.from), lag = static_cast<std::size_t>(options.state_lag);
  std::vector<float> W;
  for (std::size_t b = 0; b < static_cast<std::size_t>(record.batch); ++b)
    for (std::size_t t = from; t < T; ++t) {
      const float* w = record.W.data() + (b * T + t) * M;
      W.insert(W.end(), w, w + M);
      if (!truth.empty()) states.truth.push_back(truth[b * T + t - lag]);
    }
  int clusters = options.clusters;
  if (clusters == 0)
    clusters = truth.empty() ? record.M : static_cast<int>(std::set(states.truth.begin(), states.truth.end()).size());
  states.found = k_means(W.size() / M, record.M, W.data(), clusters, make_key(0)).labels;
  const std::size_t per_sequence = T - from;
  const std::span<const int> shown = truth.empty() ? states.found : states.truth;
  for (const std::size_t t :
       switching_times(shown.subspan(static_cast<std::size_t>(options.pictured) * per_sequence, per_sequence)))
    states.switches.push_back(static_cast<double>(t + from));
  return states;
}

void write_record(const fs::path& folder, const std::string& format, const Record& record, const States& states) {
  std::vector<io::NamedArray> arrays;
  std::vector<float> found;
  record.visit([&](const char* name, const std::vector<float>& numbers, const std::vector<int>& shape) {
    io::Extents extents{record.batch, record.time};
    extents.insert(extents.end(), shape.begin(), shape.end());
    arrays.push_back({name, std::move(extents), numbers});
  });
  found.assign(states.found.begin(), states.found.end());
  arrays.push_back({"states", {record.batch, record.time - states.from}, found});
  if (format == "npz") io::write_npz(folder / "record.npz", arrays);
  if (format == "h5") io::write_hdf5(folder / "record.h5", arrays);
  if (format == "npy")
    for (const io::NamedArray& array : arrays) io::write_npy(folder / (array.name + ".npy"), array.values, array.shape);
}

/// Lines over time of numbers (batch, time, width) of one sequence.
std::vector<io::Column> lines_of(const std::string& name, const std::vector<float>& numbers, int width,
                                 const Record& record, int sequence) {
  std::vector<io::Column> lines;
  for (int i = 0; i < width; ++i) {
    lines.push_back({name + std::to_string(i), {}});
    for (int t = 0; t < record.time; ++t)
      lines.back().values.push_back(
          static_cast<double>(numbers[static_cast<std::size_t>((sequence * record.time + t) * width + i)]));
  }
  return lines;
}

void draw(const fs::path& folder, const TidhyEvaluation& options, const Record& record, const States& states,
          const std::string& title) {
  const int s = options.pictured;
  io::Column time{"time", {}};
  for (int t = 0; t < record.time; ++t) time.values.push_back(t);
  const auto curves = [&](const char* name, std::vector<io::CurvePlot> plots) {
    const io::CurveFiles files = io::write_curves(
        folder, name, {.title = title, .axis = time, .plots = std::move(plots), .marks = states.switches});
    if (!files.note.empty() && !options.quiet) std::cerr << "fieldstep: " << files.note << '\n';
  };
  curves("latents", {{"R_hat", lines_of("r", record.R_hat, record.R, record, s)},
                     {"R2_hat", lines_of("r2_", record.R2_hat, record.Q, record, s)}});
  curves("mixture", {{"W", lines_of("w", record.W, record.M, record, s)}});
  const auto size = static_cast<std::size_t>(record.time) * static_cast<std::size_t>(record.D);
  const auto of_sequence = [&](const std::vector<float>& numbers) {
    return std::span(numbers).subspan(static_cast<std::size_t>(s) * size, size);
  };
  io::write_panels(
      folder / "reconstruction.png",
      {.title = title + ": channels over time",
       .height = record.time,
       .width = record.D,
       .rows = {
           {.field = "inferred", .unit = "", .reference = of_sequence(record.I), .forecast = of_sequence(record.I_hat)},
           {.field = "predicted",
            .unit = "",
            .reference = of_sequence(record.I),
            .forecast = of_sequence(record.I_bar)}}});
}

void print(const Json& about, const OutputFolder& output) {
  std::cout << about["model"].get<std::string>() << " on " << counted(about["sequences"].get<std::size_t>(), "sequence")
            << ": spatial loss " << about["spatial_loss_rhat_avg"].get<double>() << " inferred, "
            << about["spatial_loss_rbar_avg"].get<double>() << " predicted a time ahead, temporal loss "
            << about["temp_loss_avg"].get<double>() << '\n';
  if (about.contains("accuracy"))
    std::cout << "hidden states in " << about["clusters"] << " groups of mixture weights: accuracy "
              << about["accuracy"].get<double>() << " (always the most frequent: " << about["chance"].get<double>()
              << "), adjusted Rand index " << about["adjusted_rand"].get<double>() << '\n';
  std::cout << "the record, latents, mixture, reconstruction and evaluate.json are in " << output.path().string()
            << '\n';
}

}  // namespace

void evaluate_tidhy(const TidhyEvaluation& options, const io::TensorFile& weights) {
  const models::TidhyEntry entry = tidhy_of(weights, options.weights);
  TidhySettings settings;
  settings.read(metadata_of(weights, settings_key));
  settings.set(options.settings);
  settings.training.carry_state = false;
  settings.training.inference.r2_init_key = make_key(0);
  const auto standardisation =
      io::in_file(options.weights, [&] { return Standardisation::parse(metadata_of(weights, standardisation_key)); });

  OutputFolder output(options.output, "evaluate.json");
  SequenceSet set = read_sequences(options.data, options.sequences);
  if (set.channels != entry.input_dim)
    fail(options.data.front(), ": has ", counted(static_cast<std::size_t>(set.channels), "channel"), ", ",
         options.weights, " is of ", entry.input_dim);
  if (options.pictured >= set.count)
    fail_usage("--pictured: found ", options.pictured, ", there are ", set.count, " sequences, counted from 0");
  if (options.state_lag >= set.time)
    fail_usage("--state-lag: found ", options.state_lag, ", wanted less than the ", set.time, " times");
  standardisation.apply(set.values);
  const std::vector<int> truth = read_states(options, set);

  models::AnyTidhy model = entry.make(set.count, set.time, set.values.data(),
                                      models::in_storage_order(set.count, set.count), set.count, settings.training, {});
  io::in_file(options.weights,
              [&] { io::load_weights(weights, entry.table, model.weights(), {.refuse_not_finite = true}); });
  model.weights_changed();
  Record record;
  {
    Progress progress("infer", set.time, options.quiet);
    record = model.evaluate_record(set.count, set.time, set.values.data(), [&](int) {
      progress.advance();
      Interruption::check();
    });
  }
  const States states = states_of(options, record, truth);

  Json about{{"family", "tidhy"},
             {"model", entry.name},
             {"sizes", entry.text},
             {"weights", options.weights},
             {"data", options.data},
             {"sequences", set.count},
             {"time", set.time},
             {"settings", Json::parse(settings.json())},
             {"spatial_loss_rhat_avg", record.spatial_loss_rhat_avg},
             {"spatial_loss_rbar_avg", record.spatial_loss_rbar_avg},
             {"temp_loss_avg", record.temp_loss_avg},
             {"iterations", record.iterations},
             {"clusters", std::set(states.found.begin(), states.found.end()).size()}};
  if (!truth.empty()) {
    about["accuracy"] = matched_accuracy(states.found, states.truth);
    about["adjusted_rand"] = adjusted_rand(states.found, states.truth);
    about["chance"] = majority_share(states.truth);
  }
  const std::string title = options.title.empty() ? fs::path(options.data.front()).filename().string() + ", sequence " +
                                                        std::to_string(options.pictured)
                                                  : options.title;
  output.fill([&](const fs::path& folder) {
    write_record(folder, options.format, record, states);
    draw(folder, options, record, states, title);
    io::write_text(folder / "evaluate.json", about.dump(1) + "\n");
  });
  output.commit();
  if (options.json)
    std::cout << about.dump() << '\n';
  else if (!options.quiet)
    print(about, output);
}

}  // namespace fieldstep::cli
