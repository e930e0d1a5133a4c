#include <examples/cli/commands.hpp>
#include <examples/cli/forecast_model.hpp>
#include <examples/cli/forecast_result.hpp>
#include <examples/cli/interruption.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/models.hpp>
#include <examples/cli/output_folder.hpp>
#include <examples/cli/progress.hpp>
#include <examples/cli/rollout.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/atomic_file.hpp>

#include <algorithm>
#include <chrono>
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
  std::size_t sample = 0, samples = 1, start = 0, pictures = 4;
  int frames = 0, threads = 0;
  Times times{};
  std::vector<int> labels, boundaries;
  double limit = 0;
  bool json = false, quiet = false;
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Lines about what a forecast is made of and its network did not see in training.
std::vector<std::string> doubts(const ModelEntry& entry, const Network& network, const io::DatasetInfo& info,
                                const std::vector<Step>& schedule) {
  std::vector<std::string> lines;
  if (!entry.lead_time) return lines;
  if (const std::string line = doubtful_lead_times(schedule); !line.empty()) lines.push_back(line);
  if (!network.sizes.use_conditioning)
    lines.push_back("the weights are unconditioned: every step looks as far ahead as in their training");
  if (info.normalisation.empty())
    lines.push_back(info.name + " has no normalisation of Poseidon's: the network reads its values as they are");
  if (info.height != info.width && network.config)
    lines.push_back("frames of " + std::to_string(info.height) + "x" + std::to_string(info.width) +
                    " points are not resampled to the " + std::to_string(network.config->image_size) +
                    " points a side of the configuration, as square ones would be");
  return lines;
}

/// Refuses times that a network without lead times cannot be told.
void check_times(const Options& options, const ModelEntry& entry) {
  if (entry.lead_time) return;
  const bool told = !options.times.lead_times.empty() || !options.times.ar_steps.empty() ||
                    options.times.frames_per_unit > 0 || options.samples > 1;
  if (told)
    fail_usage("--time, --ar-steps, --frames-per-unit, --samples: ", entry.name,
               " reads no lead time; --steps says how far it goes");
}

/// Poseidon's errors of all groups of fields at every step that the file has, over samples first, first + 1, ...: the
/// first one's forecast is there, the others' are made.
std::vector<std::vector<GroupError>> group_errors(const Rollout& rollout, const ForecastResult& result,
                                                  std::size_t samples) {
  const io::DatasetInfo& info = rollout.data.info();
  if (info.groups.empty() || !rollout.entry.lead_time) return {};
  const std::size_t points = rollout.entry.points(), groups = info.groups.size() - 1;
  std::vector<std::vector<std::vector<double>>> all(result.compared.size(), std::vector<std::vector<double>>(groups));
  for (std::size_t s = 0; s < samples; ++s) {
    Timings untold;
    const std::vector<float> forecast = s == 0 ? result.forecast : rollout.run(result.sample + s, untold);
    for (std::size_t i = 0; i < result.compared.size(); ++i) {
      const std::size_t step = result.compared[i] - 1, size = result.frame_size();
      std::vector<float> x(forecast.begin() + static_cast<std::ptrdiff_t>(step * size),
                           forecast.begin() + static_cast<std::ptrdiff_t>((step + 1) * size));
      std::vector<float> y = rollout.data.read_frames(result.sample + s, *result.schedule[step].frame(info), 1);
      for (std::size_t at = 0; at < size; ++at) {
        x[at] = info.normalisation[at / points].forth(x[at]);
        y[at] = info.normalisation[at / points].forth(y[at]);
      }
      for (std::size_t g = 0; g < groups; ++g) {
        const std::size_t first = info.groups[g] * points, count = info.groups[g + 1] * points - first;
        all[i][g].push_back(relative_l1_percent(std::span<const float>(x).subspan(first, count),
                                                std::span<const float>(y).subspan(first, count)));
      }
    }
  }
  std::vector<std::vector<GroupError>> errors(all.size(), std::vector<GroupError>(groups));
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t g = 0; g < groups; ++g) {
      std::vector<double>& values = all[i][g];
      std::ranges::sort(values);
      for (const double v : values) errors[i][g].mean += v / static_cast<double>(values.size());
      errors[i][g].median = (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
    }
  return errors;
}

nlohmann::ordered_json summary(const Options& options, const ModelEntry& entry, const io::DatasetInfo& info,
                               const ForecastResult& result, const ForecastFiles& files, const Timings& timings) {
  using Json = nlohmann::ordered_json;
  std::vector<double> sorted = timings.steps;
  std::ranges::sort(sorted);
  Json errors = Json::array();
  for (std::size_t i = 0; i < result.errors.size(); ++i)
    for (std::size_t f = 0; f < info.fields.size(); ++f) {
      const FieldError& e = result.errors[i][f];
      errors.push_back({{"step", result.compared[i]},
                        {"field", info.fields[f]},
                        {"nrmse", e.nrmse},
                        {"vrmse", e.vrmse},
                        {"max", e.max}});
    }
  Json groups = Json::array(), lead_times = Json::array();
  for (std::size_t i = 0; i < result.group_errors.size(); ++i)
    for (std::size_t g = 0; g < result.group_errors[i].size(); ++g)
      groups.push_back({{"step", result.compared[i]},
                        {"group", result.group_name(g)},
                        {"median", result.group_errors[i][g].median},
                        {"mean", result.group_errors[i][g].mean}});
  for (const Step& step : result.schedule)
    if (entry.lead_time) lead_times.push_back(step.lead_time);
  return {{"family", entry.family},
          {"model", entry.name},
          {"weights", options.weights},
          {"data", options.data},
          {"set", info.name},
          {"fields", info.fields},
          {"labels", options.labels},
          {"bcs", options.boundaries},
          {"sample", options.sample},
          {"samples", options.samples},
          {"start", options.start},
          {"frames", entry.frames},
          {"steps", result.steps()},
          {"lead_times", lead_times},
          {"limit", options.limit},
          {"threads", Kokkos::DefaultHostExecutionSpace().concurrency()},
          {"weights_s", timings.weights},
          {"first_result_s", timings.first_result},
          {"median_step_s", sorted[sorted.size() / 2]},
          {"step_s", timings.steps},
          {"peak_rss_mib", peak_rss_mib()},
          {"weights_mib", to_mib(entry.weight_bytes)},
          {"workspace_mib", to_mib(entry.workspace_bytes)},
          {"errors", errors},
          {"relative_l1_percent", groups},
          {"pictures", files.pictures},
          {"curves", files.curves}};
}

void print(const nlohmann::ordered_json& about, const ForecastResult& result, const OutputFolder& output) {
  const io::DatasetInfo& info = result.data.info();
  std::cout << about["model"].get<std::string>() << " on " << info.name << ", sample " << result.sample << ": "
            << counted(about["frames"], "frame") << " read, " << counted(result.steps(), "step") << " forecast, "
            << 1e3 * about["median_step_s"].get<double>() << " ms a step, peak memory "
            << about["peak_rss_mib"].get<double>() << " MiB\n";
  for (std::size_t f = 0; !result.errors.empty() && f < info.fields.size(); ++f) {
    std::cout << "  " << info.fields[f] << ": nRMSE " << result.errors.front()[f].nrmse << " at step "
              << result.compared.front();
    if (result.compared.size() > 1)
      std::cout << ", " << result.errors.back()[f].nrmse << " at step " << result.compared.back();
    std::cout << '\n';
  }
  for (std::size_t g = 0; !result.group_errors.empty() && g < result.group_errors.back().size(); ++g)
    std::cout << "  " << result.group_name(g) << ": relative L1 " << result.group_errors.back()[g].median
              << " % (median), " << result.group_errors.back()[g].mean << " % (mean) at step " << result.compared.back()
              << ", " << counted(about["samples"], "sample") << '\n';
  std::cout << (result.errors.empty() ? "Pictures, " : "Pictures, error curves (errors.csv), ")
            << "forecast.npy and forecast.pvd for ParaView are in " << output.path().string() << '\n';
}

void run(Options options) {
  const Interruption interruption;
  OutputFolder output(options.output, "forecast.json");
  const io::Dataset data = io::open_dataset(options.data, options.problem);
  const io::DatasetInfo& info = data.info();
  const io::TensorFile weights = open_weights(options.weights);
  const Network network = network_of(weights, options.weights);
  const ModelEntry entry = model_for({.weights = options.weights,
                                      .data = options.data,
                                      .model = options.model,
                                      .frames = options.frames,
                                      .start = options.start},
                                     network, info);
  check_times(options, entry);
  if (options.samples > 1 && options.samples > info.samples - std::min(info.samples, options.sample))
    fail_usage("--samples: found ", options.samples, ", but ", options.data, " has ", info.samples,
               " and the first is ", options.sample);
  const std::vector<Step> schedule = entry.lead_time ? lead_time_schedule(info, options.start, options.times)
                                                     : window_schedule(entry, info, options.start, options.times.steps);
  if (!options.quiet)
    for (const std::string& doubt : doubts(entry, network, info, schedule)) std::cerr << "fieldstep: " << doubt << '\n';
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

  const Rollout rollout{model, entry, data, options.start, schedule, options.limit, options.quiet};
  ForecastResult result{.data = data,
                        .title = options.title.empty() ? std::string(entry.name) + ", " + info.name : options.title,
                        .sample = options.sample,
                        .schedule = schedule};
  result.forecast = rollout.run(options.sample, timings);

  nlohmann::ordered_json about;
  output.fill([&](const std::filesystem::path& folder) {
    Progress progress("writing", static_cast<int>(schedule.size()), options.quiet);
    const ForecastFiles files = write_forecast(
        folder, result, options.pictures,
        [&] {
          progress.advance();
          Interruption::check();
        },
        [&] { result.group_errors = group_errors(rollout, result, options.samples); });
    about = summary(options, entry, info, result, files, timings);
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
  command.add_option("--samples", options->samples, "ScOT: simulations over which relative L1 errors are taken")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--start", options->start, "First frame that the model reads, from 0")->capture_default_str();
  command.add_option("--frames", options->frames, "Frames that it reads; default: the most that are compiled in")
      ->check(CLI::PositiveNumber);
  command.add_option("--steps", options->times.steps, "Frames to forecast; default: as many as the file goes on")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--time", options->times.lead_times,
                  "ScOT: lead times to forecast straight to, such as 0.25,0.5,1; default: those of all later frames")
      ->delimiter(',');
  command
      .add_option("--ar-steps", options->times.ar_steps,
                  "ScOT: reach the lead time in n equal steps, each from the forecast before, or in shares a,b,...")
      ->delimiter(',');
  command
      .add_option("--frames-per-unit", options->times.frames_per_unit,
                  "ScOT: frames of the file that a lead time of 1 spans; default: the set's own")
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
      "AViT: each step's result becomes the newest frame of the next step's window. ScOT: every step looks ahead from\n"
      "frame --start by its lead time, or with --ar-steps from the forecast before. OUTPUT gets pictures of some "
      "steps\n"
      "(reference, forecast, error), error curves against the file's own later frames (errors.csv and .png: nRMSE,\n"
      "VRMSE, largest error; of Poseidon's sets relative L1), forecast.npy, forecast.pvd for ParaView and "
      "forecast.json.\n"
      "Example: fieldstep forecast --weights MPP_AViT_Ti.tar --data 2D_rdb_NA_NA.h5 --sample 3 --output dam_break\n"
      "         fieldstep forecast --weights Poseidon-T --data NS-PwC.nc --time 0.5,1 --output vortices");
  command.callback([options] { run(*options); });
}

}  // namespace fieldstep::cli
