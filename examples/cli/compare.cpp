#include <examples/cli/commands.hpp>
#include <examples/cli/golden_case.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/models.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/key_map.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace fieldstep::cli {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Options {
  std::string first, second, model;
  std::optional<double> tolerance;
  int threads = 0;
  bool all = false, json = false, quiet = false;
};

/// How far two arrays are apart.
struct Difference {
  std::string name;
  std::string mismatch{};        ///< why they cannot be compared; empty: they can
  double max = 0, relative = 0;  ///< largest |a - b|; |a - b| / |b| in the Euclidean norm
  double size() const { return mismatch.empty() ? relative : std::numeric_limits<double>::infinity(); }
};

template <class Real>
Difference difference(std::string name, std::span<const Real> a, std::span<const Real> b) {
  Difference d{.name = std::move(name)};
  double squares = 0, reference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i], y = b[i], apart = std::abs(x - y);
    if (!(apart <= d.max)) d.max = apart;  // keeps a NaN
    squares += apart * apart;
    reference += y * y;
  }
  if (squares != 0) d.relative = std::sqrt(squares / reference);
  if (std::isnan(d.relative)) d.mismatch = "not finite";
  return d;
}

/// Every tensor of either file that a forward pass reads, in the order of the first.
std::vector<Difference> differences(const io::TensorFile& a, const io::TensorFile& b) {
  std::vector<Difference> rows;
  for (const io::StoredTensor& tensor : a.tensors) {
    if (io::is_unread_buffer(tensor.name)) continue;
    const io::StoredTensor* other = b.find(tensor.name);
    if (other == nullptr) {
      rows.push_back({.name = tensor.name, .mismatch = "only in the first"});
    } else if (other->shape != tensor.shape) {
      rows.push_back(
          {.name = tensor.name, .mismatch = io::shape_text(tensor.shape) + " against " + io::shape_text(other->shape)});
    } else {
      const std::vector<double> x = io::numbers<double>(tensor), y = io::numbers<double>(*other);
      rows.push_back(difference<double>(tensor.name, x, y));
      a.release(tensor);
      b.release(*other);
    }
  }
  for (const io::StoredTensor& tensor : b.tensors)
    if (a.find(tensor.name) == nullptr && !io::is_unread_buffer(tensor.name))
      rows.push_back({.name = tensor.name, .mismatch = "only in the second"});
  return rows;
}

/// Waves that travel, other ones in every field.
ForwardCase smooth_case(const ModelEntry& entry) {
  ForwardCase smooth{.x = {}, .lead_times = {0.5f}, .labels = std::vector<int>(static_cast<std::size_t>(entry.fields))};
  std::iota(smooth.labels.begin(), smooth.labels.end(), 0);
  constexpr double turn = 2 * std::numbers::pi;
  for (int t = 0; t < entry.frames; ++t)
    for (int c = 0; c < entry.fields; ++c)
      for (int i = 0; i < entry.height; ++i)
        for (int j = 0; j < entry.width; ++j) {
          const double y = turn * i / entry.height, x = turn * j / entry.width;
          smooth.x.push_back(static_cast<float>(c + std::sin((c + 1) * x + 0.3 * t) + 0.5 * std::cos(2 * y - 0.2 * t)));
        }
  return smooth;
}

std::vector<float> output_of(const io::TensorFile& weights, const std::string& name, const ModelEntry& entry,
                             const ForwardCase& given) {
  embed::Model model = entry.make();
  load_weights(weights, name, entry, model);
  model.condition({.labels = given.labels, .boundaries = given.boundaries});
  std::vector<float> y(static_cast<std::size_t>(given.batch) * entry.out_size());
  model.forward(given.batch, given.x.data(), y.data(), given.lead_times.data());
  return y;
}

Json json_of(const Difference& d) {
  if (!d.mismatch.empty()) return {{"name", d.name}, {"mismatch", d.mismatch}};
  return {{"name", d.name}, {"max", d.max}, {"relative", d.relative}};
}

void print(const Difference& d) {
  if (!d.mismatch.empty())
    std::printf("  %-60s %s\n", d.name.c_str(), d.mismatch.c_str());
  else
    std::printf("  %-60s max %-11.3e relative %.3e\n", d.name.c_str(), d.max, d.relative);
}

/// Prints what was found; throws if anything is beyond the tolerance, which is `usual` if nobody asked for another.
void report(const Options& options, const std::string& second, const std::vector<Difference>& rows, double usual,
            const std::string& note) {
  const double tolerance = options.tolerance.value_or(usual);
  const auto worst = std::ranges::max_element(rows, {}, &Difference::size);
  if (options.json) {
    Json list = Json::array();
    for (const Difference& d : rows) list.push_back(json_of(d));
    std::cout << Json{{"first", options.first}, {"second", second},
                      {"tolerance", tolerance}, {"agree", worst->size() <= tolerance},
                      {"differences", list},    {"note", note}}
                     .dump()
              << '\n';
  } else if (!options.quiet) {
    const auto equal = std::ranges::count_if(rows, [](const Difference& d) { return d.size() == 0; });
    std::printf("%s against %s: %zu compared, %td equal, largest relative difference %.3e\n", options.first.c_str(),
                second.c_str(), rows.size(), equal, worst->size());
    for (const Difference& d : rows)
      if (options.all || d.size() > 0) print(d);
    if (!note.empty()) std::printf("%s\n", note.c_str());
    std::fflush(stdout);
  }
  if (worst->size() <= tolerance) return;
  if (!worst->mismatch.empty()) fail(options.first, " and ", second, " differ: ", worst->name, " ", worst->mismatch);
  fail(options.first, " and ", second, " differ: ", worst->name, " by ", worst->relative, " relative, allowed is ",
       tolerance, " (--tolerance)");
}

void compare_with_golden(const Options& options, const io::TensorFile& weights, const fs::path& manifest) {
  const GoldenCase golden = read_golden(manifest);
  std::vector<Difference> rows = differences(weights, golden.weights);
  Wanted wanted = golden.model;
  wanted.name = options.model;
  const std::vector<ModelEntry> entries = fitting(wanted, golden.network);
  if (entries.empty()) refuse_unlisted(wanted, golden.network);
  const std::vector<float> y = output_of(weights, options.first, entries.front(), golden.given);
  rows.push_back(difference<float>("output of the golden case", y, golden.output));
  report(options, manifest.string(), rows, golden.bound, "");
}

void compare_weights(const Options& options, const io::TensorFile& first, const Network& network) {
  const io::TensorFile second = open_weights(options.second);
  std::vector<Difference> rows = differences(first, second);
  const bool same_names = std::ranges::all_of(rows, [](const Difference& d) { return d.mismatch.empty(); });
  const Wanted wanted{.name = options.model, .grid = {}};
  if (fitting(wanted).empty()) refuse_unlisted(wanted, network);
  const std::vector<ModelEntry> entries = fitting(wanted, network);
  std::string note;
  if (same_names && !entries.empty()) {
    const ForwardCase smooth = smooth_case(entries.front());
    const std::vector<float> a = output_of(first, options.first, entries.front(), smooth);
    const std::vector<float> b = output_of(second, options.second, entries.front(), smooth);
    rows.push_back(difference<float>("output on a smooth input", a, b));
  } else {
    note = network.sizes.family == "tidhy" ? ""
           : same_names ? "Outputs are not compared: no model for " + network.sizes.text() + " is compiled in."
                        : "Outputs are not compared: the files do not hold the same tensors.";
  }
  report(options, options.second, rows, 1e-6, note);
}

void run(const Options& options) {
  const io::TensorFile weights = open_weights(options.first);
  if (weights.tensors.empty()) fail(options.first, ": holds no tensors");
  const Network network = network_of(weights, options.first);  // refuses a folder of two networks
  const KokkosThreads kokkos(options.threads);
  const fs::path second = options.second;
  if (second.extension() == ".json") {
    compare_with_golden(options, weights, second);
    return;
  }
  if (fs::is_directory(second) && !fs::exists(second / "config.json")) {  // else a Hugging Face folder
    const std::vector<fs::path> manifests = manifests_for(second, network.sizes);
    if (manifests.empty()) fail(options.second, ": holds no golden manifest with weights of ", network.sizes.text());
    for (const fs::path& manifest : manifests) compare_with_golden(options, weights, manifest);
    return;
  }
  compare_weights(options, weights, network);
}

}  // namespace

void add_compare(CLI::App& app) {
  CLI::App& command = *app.add_subcommand("compare", "Compare two weight files, or one with a golden case");
  const auto options = std::make_shared<Options>();
  command.add_option("FIRST", options->first, "Weights in any format")->required();
  command.add_option("SECOND", options->second, "Weights, or a golden manifest (.json) or folder of such")->required();
  command.add_option("--model", options->model,
                     "Compiled-in model that computes the outputs; default: the first that fits");
  command
      .add_option(
          "--tolerance", options->tolerance,
          "Largest relative difference allowed, |a - b| / |b| per tensor; default: 1e-6, of a golden case eight "
          "times the original's own float32 error")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--threads", options->threads, "Threads, exactly; default: OMP_NUM_THREADS or all processors")
      ->check(CLI::PositiveNumber);
  command.add_flag("--all", options->all, "List equal tensors, too");
  command.add_flag("--json", options->json, "One line of JSON with every tensor");
  command.add_flag("--quiet", options->quiet, "Print nothing but errors");
  command.footer(
      "Every tensor is compared; then the output on a smooth input (or the golden's), if a model of that size is\n"
      "compiled in. The exit code is 1 if anything differs by more than the tolerance.\n"
      "Examples: fieldstep compare MPP_AViT_Ti.tar avit_ti.safetensors\n"
      "          fieldstep compare ckpt_micro.tar tests/goldens/mpp/ckpt_micro.json");
  command.callback([options] { run(*options); });
}

}  // namespace fieldstep::cli
