#include <examples/cli/commands.hpp>
#include <examples/cli/forecast_result.hpp>
#include <examples/cli/interruption.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/models.hpp>
#include <examples/cli/output_folder.hpp>
#include <examples/cli/progress.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/embed/history.hpp>
#include <fieldstep/io/atomic_file.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace fieldstep::cli {

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string model, weights, data, problem, output, title;
  std::size_t sample = 0, start = 0, pictures = 4;
  int frames = 0, steps = 0, threads = 0;
  std::vector<int> labels, boundaries;
  double limit = 0;
  bool json = false, quiet = false;
};

struct Timings {
  double weights = 0;       ///< seconds to load and prepare the weights
  double first_result = 0;  ///< seconds from the start of the process to the end of the first step
  std::vector<double> steps{};
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// The compiled-in model for these weights and this file: the one that reads the most frames the file can give.
ModelEntry model_for(const Options& options, const Network& network, const io::DatasetInfo& info) {
  const io::Recognised& weights = network.sizes;
  constexpr int patch = 16;
  if (info.height % patch != 0 || info.width % patch != 0)
    fail(options.data, ": frames have ", info.height, "x", info.width, " points, wanted multiples of ", patch);
  const Wanted wanted{.name = options.model,
                      .grid = std::to_string(info.height) + "x" + std::to_string(info.width),
                      .frames = options.frames,
                      .fields = static_cast<int>(info.fields.size())};
  std::vector<ModelEntry> entries = fitting(wanted);
  if (!options.model.empty()) {
    const std::vector<ModelEntry> named = fitting({.name = options.model, .grid = {}});
    if (!named.empty() && recognise(named.front()).text() != weights.text())
      fail(options.weights, ": holds weights of ", weights.text(), ", wanted ", recognise(named.front()).text());
  }
  std::erase_if(entries, [&](const ModelEntry& entry) { return recognise(entry).text() != weights.text(); });
  if (entries.empty()) refuse_unlisted(wanted, network);

  const auto frames_of = [](const ModelEntry& entry) { return static_cast<std::size_t>(entry.frames); };
  const std::size_t fewest = std::ranges::min(entries, {}, frames_of).frames;
  const std::size_t there = info.frames - std::min(info.frames, options.start);
  if (there < fewest)
    fail(options.data, ": has ", there, " frames from frame ", options.start, " on, the model reads ", fewest);
  std::erase_if(entries, [&](const ModelEntry& entry) { return frames_of(entry) > there; });
  return std::ranges::max(entries, {}, frames_of);
}

double largest(std::span<const float> values) {
  float all = 0;
  for (const float v : values) all = std::max(all, std::abs(v));
  return all;
}

/// Refuses a forecast that has left the finite numbers or the range.
void guard(std::span<const float> frame, const io::DatasetInfo& info, int step, double limit) {
  const std::size_t points = frame.size() / info.fields.size();
  for (std::size_t i = 0; i < frame.size(); ++i) {
    if (std::abs(frame[i]) <= limit) continue;  // false for NaN, too
    fail("forecast: ", info.fields[i / points], " is ", frame[i], " in step ", step, ", allowed are values up to ",
         limit, step > 1 ? " (--limit); --steps " + std::to_string(step - 1) + " ends before" : " (--limit)");
  }
}

/// Continues the window step by step, each forecast being the newest frame of the next one's window.
std::vector<float> roll_out(const embed::Model& model, const ModelEntry& entry, std::span<const float> window,
                            const io::DatasetInfo& info, int steps, double limit, Timings& timings, bool quiet) {
  const std::size_t size = entry.frame_size();
  embed::History<float> history(entry.frames, size);
  for (std::size_t at = 0; at < window.size(); at += size) history.observe(&window[at]);
  std::vector<float> forecast(static_cast<std::size_t>(steps) * size);
  timings.steps.reserve(static_cast<std::size_t>(steps));
  Progress progress("forecast", steps, quiet);
  for (int step = 1; step <= steps; ++step) {
    const std::span<float> next = std::span(forecast).subspan(static_cast<std::size_t>(step - 1) * size, size);
    const auto start = Clock::now();
    model.forward(1, history.window(), next.data());
    timings.steps.push_back(seconds_since(start));
    if (step == 1) timings.first_result = seconds_since_start();
    guard(next, info, step, limit);
    Interruption::check();
    history.observe(next.data());
    progress.advance();
  }
  return forecast;
}

nlohmann::ordered_json summary(const Options& options, const ModelEntry& entry, const io::DatasetInfo& info,
                               const ForecastResult& result, const ForecastFiles& files, const Timings& timings,
                               double limit) {
  using Json = nlohmann::ordered_json;
  std::vector<double> sorted = timings.steps;
  std::ranges::sort(sorted);
  Json errors = Json::array();
  for (std::size_t step = 0; step < result.errors.size(); ++step)
    for (std::size_t f = 0; f < info.fields.size(); ++f) {
      const FieldError& e = result.errors[step][f];
      errors.push_back(
          {{"step", step + 1}, {"field", info.fields[f]}, {"nrmse", e.nrmse}, {"vrmse", e.vrmse}, {"max", e.max}});
    }
  return {{"family", entry.family},
          {"model", entry.name},
          {"weights", options.weights},
          {"data", options.data},
          {"set", info.name},
          {"fields", info.fields},
          {"labels", options.labels},
          {"bcs", options.boundaries},
          {"sample", options.sample},
          {"start", options.start},
          {"frames", entry.frames},
          {"steps", result.steps()},
          {"limit", limit},
          {"threads", Kokkos::DefaultHostExecutionSpace().concurrency()},
          {"weights_s", timings.weights},
          {"first_result_s", timings.first_result},
          {"median_step_s", sorted[sorted.size() / 2]},
          {"step_s", timings.steps},
          {"peak_rss_mib", peak_rss_mib()},
          {"weights_mib", to_mib(entry.weight_bytes)},
          {"workspace_mib", to_mib(entry.workspace_bytes)},
          {"errors", errors},
          {"pictures", files.pictures},
          {"curves", files.curves}};
}

void print(const nlohmann::ordered_json& about, const ForecastResult& result, const OutputFolder& output) {
  const io::DatasetInfo& info = result.data.info();
  std::cout << about["model"].get<std::string>() << " on " << info.name << ", sample " << result.sample << ": "
            << about["frames"] << " frames read, " << result.steps() << " steps forecast, "
            << 1e3 * about["median_step_s"].get<double>() << " ms a step, peak memory "
            << about["peak_rss_mib"].get<double>() << " MiB\n";
  for (std::size_t f = 0; !result.errors.empty() && f < info.fields.size(); ++f)
    std::cout << "  " << info.fields[f] << ": nRMSE " << result.errors.front()[f].nrmse << " at step 1, "
              << result.errors.back()[f].nrmse << " at step " << result.errors.size() << '\n';
  std::cout << "Pictures, error curves (errors.csv), forecast.npy and forecast.pvd for ParaView are in "
            << output.path().string() << '\n';
}

void run(Options options) {
  const Interruption interruption;
  OutputFolder output(options.output, "forecast.json");
  const io::Dataset data = io::open_dataset(options.data, options.problem);
  const io::DatasetInfo& info = data.info();
  const io::TensorFile weights = open_weights(options.weights);
  const ModelEntry entry = model_for(options, network_of(weights, options.weights), info);
  if (options.labels.empty()) options.labels = info.labels;
  if (options.boundaries.empty()) options.boundaries = {info.boundaries.begin(), info.boundaries.end()};

  const KokkosThreads kokkos(options.threads);
  Timings timings;
  const auto start = Clock::now();
  embed::Model model = entry.make();
  load_weights(weights, options.weights, entry, model);
  model.condition({.labels = options.labels, .boundaries = {options.boundaries[0], options.boundaries[1]}});
  timings.weights = seconds_since(start);
  Interruption::check();

  const auto frames = static_cast<std::size_t>(entry.frames);
  const std::vector<float> window = data.read_frames(options.sample, options.start, frames);
  const double limit = options.limit > 0 ? options.limit : 1e3 * largest(window);
  const std::size_t later = info.frames - options.start - frames;
  const int steps = options.steps > 0 ? options.steps : std::max(1, static_cast<int>(later));
  ForecastResult result{.data = data,
                        .title = options.title.empty() ? std::string(entry.name) + ", " + info.name : options.title,
                        .sample = options.sample,
                        .first = options.start + frames,
                        .forecast = roll_out(model, entry, window, info, steps, limit, timings, options.quiet)};

  nlohmann::ordered_json about;
  output.fill([&](const std::filesystem::path& folder) {
    Progress progress("writing", steps, options.quiet);
    const ForecastFiles files = write_forecast(folder, result, options.pictures, [&] {
      progress.advance();
      Interruption::check();
    });
    about = summary(options, entry, info, result, files, timings, limit);
    io::write_text(folder / "forecast.json", about.dump(1) + "\n");
    if (!files.note.empty() && !options.quiet) std::cerr << "fieldstep: " << files.note << '\n';
  });
  output.commit();
  if (options.json)
    std::cout << about.dump() << '\n';
  else if (!options.quiet)
    print(about, result, output);
}

}  // namespace

void add_forecast(CLI::App& app) {
  CLI::App& command = *app.add_subcommand("forecast", "Continue a simulation of a file and draw how well");
  const auto options = std::make_shared<Options>();
  command.add_option("--weights", options->weights, "PyTorch checkpoint, safetensors, Flax msgpack or HF folder")
      ->required();
  command.add_option("--data", options->data, "File of PDEBench, Poseidon or the Well")->required();
  command.add_option("--problem", options->problem,
                     "Poseidon's name of the set, such as NS-PwC or CE-RP; default: the file's name if it is one");
  command.add_option("--output", options->output, "Folder for the results, made anew")->required();
  command.add_option("--model", options->model, "Compiled-in model; default: the one that the weights belong to");
  command.add_option("--sample", options->sample, "Simulation within the file, from 0")->capture_default_str();
  command.add_option("--start", options->start, "First frame that the model reads, from 0")->capture_default_str();
  command.add_option("--frames", options->frames, "Frames that it reads; default: the most that are compiled in")
      ->check(CLI::PositiveNumber);
  command.add_option("--steps", options->steps, "Frames to forecast; default: as many as the file goes on")
      ->check(CLI::PositiveNumber);
  command.add_option("--labels", options->labels, "State of every field in MPP's vocabulary; default: the set's own")
      ->delimiter(',');
  command.add_option("--bcs", options->boundaries, "Boundaries of width and height, 1 periodic or 0 open")
      ->delimiter(',')
      ->expected(2)
      ->check(CLI::Range(0, 1));
  command.add_option("--limit", options->limit, "Largest value allowed, default: 1000 times the largest one read")
      ->check(CLI::PositiveNumber);
  command.add_option("--pictures", options->pictures, "Steps to draw, the first and the last among them")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--title", options->title, "Title of the pictures");
  command.add_option("--threads", options->threads, "Threads, exactly; default: OMP_NUM_THREADS or all processors")
      ->check(CLI::PositiveNumber);
  command.add_flag("--json", options->json, "Print the summary as JSON, times in seconds");
  command.add_flag("--quiet", options->quiet, "Print nothing but errors");
  command.footer(
      "Each step's result becomes the newest frame of the next step's window. OUTPUT gets pictures of some steps\n"
      "(reference, forecast, error), error curves against the file's own later frames (errors.csv and .png: nRMSE,\n"
      "VRMSE, largest error), forecast.npy, forecast.pvd for ParaView and forecast.json.\n"
      "Example: fieldstep forecast --weights MPP_AViT_Ti.tar --data 2D_rdb_NA_NA.h5 --sample 3 --output dam_break");
  command.callback([options] { run(*options); });
}

}  // namespace fieldstep::cli
