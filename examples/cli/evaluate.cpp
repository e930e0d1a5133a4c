#include <examples/cli/commands.hpp>
#include <examples/cli/evaluation.hpp>
#include <examples/cli/forecast_model.hpp>
#include <examples/cli/interruption.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/output_folder.hpp>
#include <examples/cli/progress.hpp>
#include <examples/cli/schedule.hpp>
#include <examples/cli/tidhy.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/curves.hpp>
#include <fieldstep/io/panels.hpp>
#include <fieldstep/train/evaluation.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace fieldstep::cli {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Options {
  std::vector<std::string> weights, labels, metrics{"nRMSE"};
  std::string data, problem, output, frames, title;
  std::size_t steps = 0, every = 0, up_to = 100, pictures = 4, pictured = 0;
  std::vector<int> field_labels, boundaries;
  int frames_per_unit = 0, threads = 0;
  double extent = 1;
  bool json = false, quiet = false;
  TidhyEvaluation tidhy;  ///< what only its weights are asked
};

/// What a line of the curves stands for: weights of one label, such as several seeds of one method.
struct Method {
  std::string label;
  std::vector<std::vector<Curve>> runs{};  ///< of every weights a curve a metric

  Curve quantile(std::size_t metric, double q) const {
    std::vector<Curve> curves;
    for (const std::vector<Curve>& run : runs) curves.push_back(run[metric]);
    return train::quantile(curves, q);
  }
};
const std::string baseline = "persistence";

/// A name for weights: that of their file, or of their folder where the file is one that every training leaves.
std::string label_of(const fs::path& weights) {
  const std::string stem = weights.stem().string();
  const bool of_run = stem == "best" || stem == "last" || stem == "model";
  const std::string folder = fs::absolute(weights).parent_path().filename().string();
  return of_run && !folder.empty() ? folder : stem;
}

Contestant read_contestant(const Options& options, std::size_t i, const io::DatasetInfo& info) {
  const std::string& path = options.weights[i];
  const io::TensorFile file = open_weights(path);
  const Network network = network_of(file, path);
  const ModelEntry entry = model_for({.weights = path, .data = options.data}, network, info);
  if (info.steady || !info.inputs.empty() || static_cast<std::size_t>(entry.out_fields) != info.fields.size())
    fail(path, ": forecasts ", counted(static_cast<std::size_t>(entry.out_fields), "field"), ", wanted all ",
         info.fields.size(), " of ", info.name, ", from frame to frame");
  Contestant contestant{
      .label = options.labels.empty() ? label_of(path) : options.labels[i],
      .weights = path,
      .entry = entry,
      .model = entry.make(),
      .frames_per_unit = options.frames_per_unit > 0 ? options.frames_per_unit : info.frames_per_unit};
  if (entry.lead_time && contestant.frames_per_unit == 0)
    fail_usage("--frames-per-unit: missing; ", info.name, " does not say how many frames a lead time of 1 spans");
  load_weights(file, path, entry, contestant.model);
  const std::vector<int>& labels = options.field_labels.empty() ? info.labels : options.field_labels;
  const std::array<int, 2> boundaries =
      options.boundaries.empty() ? info.boundaries : std::array{options.boundaries[0], options.boundaries[1]};
  contestant.model.condition({.labels = labels, .boundaries = boundaries});
  return contestant;
}

/// Median lines, with the quartiles beside them in the table where there are several weights.
io::Curves curves_of(const Options& options, const std::vector<Method>& methods, const std::string& title,
                     std::size_t steps) {
  io::Curves curves{.title = title, .axis = {"step", {}}, .plots = {}};
  for (std::size_t t = 1; t <= steps; ++t) curves.axis.values.push_back(static_cast<double>(t));
  for (std::size_t m = 0; m < options.metrics.size(); ++m) {
    io::CurvePlot plot{options.metrics[m], {}};
    for (const Method& method : methods) {
      plot.lines.push_back({method.label, method.quantile(m, .5)});
      if (method.runs.size() == 1) continue;
      plot.lines.push_back({method.label + " q25", method.quantile(m, .25)});
      plot.lines.push_back({method.label + " q75", method.quantile(m, .75)});
    }
    curves.plots.push_back(std::move(plot));
  }
  return curves;
}

std::string numbered(const char* form, std::size_t number) {
  char text[32];
  std::snprintf(text, sizeof text, form, number);
  return text;
}

/// The first step, the last one and others at even distances between them, counted from 1.
std::set<std::size_t> pictured_steps(std::size_t steps, std::size_t pictures) {
  std::set<std::size_t> chosen;
  for (std::size_t i = 0; i < pictures; ++i)
    chosen.insert(pictures == 1 ? steps : 1 + (steps - 1) * i / (pictures - 1));
  return chosen;
}

/// Truth, forecast and difference, a row a field of every label's first weights.
class Painter {
 public:
  Painter(const Options& options, const io::Dataset& data, const Starts& starts,
          const std::vector<Contestant>& contestants, std::string title)
      : info_(data.info()), title_(std::move(title)) {
    const Starts::Start& start = starts.all[options.pictured];
    truth_ = data.read_frames(start.sample, start.origin, starts.steps);
    for (const Contestant& contestant : contestants) {
      if (std::ranges::find(labels_, contestant.label) != labels_.end()) continue;
      labels_.push_back(contestant.label);
      forecasts_.push_back(contestant.forecast(data, start, starts.steps));
    }
  }

  void paint(const fs::path& path, std::size_t step) const {
    const auto points = static_cast<std::size_t>(info_.height) * static_cast<std::size_t>(info_.width);
    io::Panels panels{
        .title = title_ + ", step " + std::to_string(step), .height = info_.height, .width = info_.width, .rows = {}};
    for (std::size_t l = 0; l < labels_.size(); ++l)
      for (std::size_t f = 0; f < info_.fields.size(); ++f) {
        const std::size_t first = ((step - 1) * info_.fields.size() + f) * points;
        panels.rows.push_back({.field = labels_.size() == 1 ? info_.fields[f] : labels_[l] + " " + info_.fields[f],
                               .unit = info_.units[f],
                               .reference = std::span(truth_).subspan(first, points),
                               .forecast = std::span(forecasts_[l]).subspan(first, points)});
      }
    io::write_panels(path, panels);
  }

 private:
  const io::DatasetInfo& info_;
  std::string title_;
  std::vector<float> truth_;
  std::vector<std::string> labels_;
  std::vector<std::vector<float>> forecasts_;
};

Json summary(const Options& options, const io::DatasetInfo& info, const Starts& starts,
             const std::vector<Contestant>& contestants, const std::vector<Method>& methods) {
  Json about{{"data", options.data},
             {"set", info.name},
             {"starts", starts.all.size()},
             {"steps", starts.steps},
             {"up_to", std::min(options.up_to, starts.steps)},
             {"threads", Kokkos::DefaultHostExecutionSpace().concurrency()},
             {"weights", Json::array()},
             {"methods", Json::array()}};
  for (const Contestant& c : contestants)
    about["weights"].push_back(
        {{"label", c.label}, {"file", c.weights}, {"family", c.entry.family}, {"model", c.entry.name}});
  for (const Method& method : methods) {
    Json of_method{{"label", method.label}, {"runs", method.runs.size()}, {"metrics", Json::array()}};
    for (std::size_t m = 0; m < options.metrics.size(); ++m) {
      const Curve median = method.quantile(m, .5);
      Json of_metric{
          {"metric", options.metrics[m]}, {"gmean", train::geometric_mean(median, options.up_to)}, {"median", median}};
      if (method.runs.size() > 1)
        of_metric["q25"] = method.quantile(m, .25), of_metric["q75"] = method.quantile(m, .75);
      of_method["metrics"].push_back(std::move(of_metric));
    }
    about["methods"].push_back(std::move(of_method));
  }
  return about;
}

void print(const Json& about, const OutputFolder& output) {
  std::cout << about["set"].get<std::string>() << ": " << counted(about["starts"], "rollout") << " of "
            << counted(about["steps"], "step") << "\n";
  for (const Json& method : about["methods"])
    for (const Json& metric : method["metrics"]) {
      const auto number = [](const Json& n) { return n.is_number() ? n.get<double>() : INFINITY; };
      std::cout << "  " << method["label"].get<std::string>() << ": " << metric["metric"].get<std::string>() << " "
                << number(metric["median"].front()) << " after the first step, " << number(metric["median"].back())
                << " after the last, gmean of the first " << about["up_to"] << " " << number(metric["gmean"]);
      if (method["runs"] > 1) std::cout << " (median of " << method["runs"] << ")";
      std::cout << '\n';
    }
  std::cout << "errors.csv with its picture, pictures of fields and evaluate.json are in " << output.path().string()
            << '\n';
}

void check(const Options& options) {
  if (!options.labels.empty() && options.labels.size() != options.weights.size())
    fail_usage("--label: found ", options.labels.size(), ", wanted one for each of the ", options.weights.size(),
               " weights");
  if (std::ranges::find(options.labels, baseline) != options.labels.end())
    fail_usage("--label: ", baseline, " is the name of the baseline");
  if (!options.frames.empty() && fs::exists(options.frames) && !fs::is_empty(options.frames))
    fail(options.frames, ": is there already, wanted a folder to make or an empty one");
}

/// Whether it was weights of a TiDHy.
bool run_tidhy(const Options& options) {
  const io::TensorFile weights = open_weights(options.weights.front());
  if (network_of(weights, options.weights.front()).sizes.family != "tidhy") return false;
  if (options.weights.size() > 1)
    fail_usage("--weights: found ", options.weights.size(), ", wanted one of a TiDHy at a time");
  TidhyEvaluation evaluation = options.tidhy;
  evaluation.weights = options.weights.front(), evaluation.output = options.output, evaluation.title = options.title;
  evaluation.data = {options.data}, evaluation.pictured = static_cast<int>(options.pictured);
  evaluation.json = options.json, evaluation.quiet = options.quiet;
  const KokkosThreads kokkos(options.threads);
  evaluate_tidhy(evaluation, weights);
  return true;
}

void run(const Options& options) {
  const Interruption interruption;
  check(options);
  if (run_tidhy(options)) return;
  const std::vector<train::Metric> metrics(options.metrics.begin(), options.metrics.end());
  OutputFolder output(options.output, "evaluate.json");
  const io::Dataset data = io::open_dataset(options.data, options.problem);
  const io::DatasetInfo& info = data.info();

  const KokkosThreads kokkos(options.threads);
  std::vector<Contestant> contestants;
  std::size_t history = 1;
  for (std::size_t i = 0; i < options.weights.size(); ++i) {
    contestants.push_back(read_contestant(options, i, info));
    history = std::max(history, static_cast<std::size_t>(contestants.back().entry.frames));
  }
  const Starts starts = starts_of(info, history, options.steps, options.every);
  if (options.pictured >= starts.all.size())
    fail_usage("--pictured: found ", options.pictured, ", there are ", starts.all.size(), " rollouts, counted from 0");

  std::vector<Method> methods;
  {
    Progress progress("evaluate", static_cast<long>((contestants.size() + 1) * starts.all.size()), options.quiet);
    const auto advance = [&] {
      progress.advance();
      Interruption::check();
    };
    const auto add = [&](const std::string& label, const auto& forecast) {
      auto method = std::ranges::find(methods, label, &Method::label);
      if (method == methods.end()) method = methods.insert(methods.end(), {.label = label});
      method->runs.push_back(errors_over_time(data, starts, metrics, options.extent, forecast, advance));
    };
    for (const Contestant& contestant : contestants)
      add(contestant.label, [&](const Starts::Start& start) { return contestant.forecast(data, start, starts.steps); });
    add(baseline, [&](const Starts::Start& start) { return persist(data, start, starts.steps); });
  }

  const std::string title = options.title.empty() ? info.name : options.title;
  Json about;
  output.fill([&](const fs::path& folder) {
    const Painter painter(options, data, starts, contestants, title);
    for (const std::size_t step : pictured_steps(starts.steps, options.pictures))
      painter.paint(folder / numbered("step_%03zu.png", step), step);
    if (!options.frames.empty()) {
      std::error_code error;
      fs::create_directory(options.frames, error);
      if (error) fail(options.frames, ": cannot be created (", error.message(), ")");
      Progress progress("frames", static_cast<long>(starts.steps), options.quiet);
      for (std::size_t step = 1; step <= starts.steps; ++step, progress.advance()) {
        painter.paint(fs::path(options.frames) / numbered("frame_%04zu.png", step), step);
        Interruption::check();
      }
    }
    const io::CurveFiles curves = io::write_curves(folder, "errors", curves_of(options, methods, title, starts.steps));
    if (!curves.note.empty() && !options.quiet) std::cerr << "fieldstep: " << curves.note << '\n';
    about = summary(options, info, starts, contestants, methods);
    io::write_text(folder / "evaluate.json", about.dump(1) + "\n");
  });
  output.commit();
  if (options.json)
    std::cout << about.dump() << '\n';
  else if (!options.quiet)
    print(about, output);
}

}  // namespace

void add_evaluate(CLI::App& app) {
  CLI::App& command =
      *app.add_subcommand("evaluate", "Errors of rollouts over time, of one network or of several side by side");
  const auto options = std::make_shared<Options>();
  Options& o = *options;
  command.add_option("--weights", o.weights, "Weights, several to compare, in any format")->required();
  command
      .add_option("--label", o.labels,
                  "Names of the weights; those of one name are seeds of one method; default: files")
      ->delimiter(',');
  command.add_option("--data", o.data, "Simulations to forecast: PDEBench, Poseidon, the Well or .npy")->required();
  command.add_option("--problem", o.problem,
                     "Poseidon's name of the set, such as NS-PwC; default: the file's name if it is one");
  command.add_option("--output", o.output, "Folder for the results, made anew")->required();
  command.add_option("--steps", o.steps, "Steps of a rollout; default: as many as the file goes on")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--every", o.every,
                  "Frames between starts within a simulation; default: one start, from its first frame")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--metrics", o.metrics,
                  "[n|s]MAE, [n|s]MSE, [n|s]RMSE, fourier_[n]..[/lowL_highH[_dO]], H1_[n].., correlation, VRMSE, "
                  "cRMSE, bRMSE")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--extent", o.extent, "Length of the domain's side, with which metrics are weighted")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--up-to", o.up_to, "Steps whose geometric mean is told")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--pictures", o.pictures, "Steps to draw, the first and the last among them")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--pictured", o.pictured, "Rollout that is drawn, from 0")->capture_default_str();
  command.add_option("--frames", o.frames, "Folder for a picture of every step of it, frame_0001.png and so on");
  command.add_option("--field-labels", o.field_labels, "AViT: state of every field in MPP's vocabulary")
      ->delimiter(',');
  command.add_option("--bcs", o.boundaries, "AViT: boundaries of width and height, 1 periodic or 0 open")
      ->delimiter(',')
      ->expected(2)
      ->check(CLI::Range(0, 1));
  command
      .add_option("--frames-per-unit", o.frames_per_unit,
                  "ScOT: frames that a lead time of 1 spans; default: the set's own")
      ->check(CLI::PositiveNumber);
  TidhyEvaluation& t = o.tidhy;
  command.add_option("--states", t.states, "TiDHy: hidden states to compare the mixture weights with, one a time");
  command.add_option("--state-lag", t.state_lag, "TiDHy: W[t] is compared with the state so many times before")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--clusters", t.clusters, "TiDHy: groups of mixture weights; default: as there are states")
      ->check(CLI::Range(1, 8));
  command.add_option("--format", t.format, "TiDHy: of the record")
      ->check(CLI::IsMember({"npz", "npy", "h5"}))
      ->capture_default_str();
  command.add_option("--window", t.sequences.window, "TiDHy: times of a sequence that recordings are cut into")
      ->check(CLI::PositiveNumber);
  command.add_option("--stride", t.sequences.stride, "TiDHy: times between the starts of two such")
      ->check(CLI::PositiveNumber);
  command.add_option("--set", t.settings, "TiDHy: NAME=VALUE instead of what the training had, such as max_iter=200");
  command.add_option("--title", o.title, "Title of the pictures");
  command.add_option("--threads", o.threads, "Threads, exactly; default: OMP_NUM_THREADS or all processors")
      ->check(CLI::PositiveNumber);
  command.add_flag("--json", o.json, "Print the summary as JSON");
  command.add_flag("--quiet", o.quiet, "Print nothing but errors");
  command.footer(
      "Every step is made from the forecast before, frame by frame; all networks forecast the same frames. Errors are\n"
      "means over the rollouts, by APEBench's names; of several weights with one label the median and the quartiles.\n"
      "OUTPUT gets errors.csv (a column a metric and label, and persistence: the last known frame again and again) "
      "and\n"
      "its picture, pictures of some steps of one rollout (truth, forecast, difference) and evaluate.json.\n"
      "Of weights of a TiDHy it infers the latents of recordings: OUTPUT gets everything that is inferred, by the\n"
      "original's names, latents and mixture weights over time with the times at which they switch, and the data\n"
      "beside what was inferred and what was predicted a time ahead.\n"
      "Example: fieldstep evaluate --weights one/best.safetensors sup5/best.safetensors --data test.npy --steps 50 \\\n"
      "           --metrics nRMSE,correlation --output comparison --frames movie");
  command.callback([options] { run(*options); });
}

}  // namespace fieldstep::cli
