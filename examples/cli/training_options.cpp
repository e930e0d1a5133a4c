#include <examples/cli/training_options.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/init.hpp>
#include <fieldstep/io/safetensors.hpp>

#include <iostream>

namespace fieldstep::cli {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

/// Of a file that io::AtomicFile did not complete.
bool is_leftover(const std::string& name) { return name.starts_with(".") && name.ends_with(".partial"); }

}  // namespace

TrainingOptions of_seed(TrainingOptions options, std::uint64_t seed) {
  options.seed = seed;
  options.output = (fs::path(options.output) / ("seed_" + std::to_string(seed))).string();
  return options;
}

Json json_of(TrainingOptions& options) {
  Json json;
  options.visit([&](const char* name, auto& value) { json[name] = value; });
  return json;
}

void complete(TrainingOptions& options, const CLI::App& command, const io::TensorFile& checkpoint,
              const fs::path& path) {
  const auto found = checkpoint.metadata.find(options_key);
  const Json saved = found == checkpoint.metadata.end() ? Json() : Json::parse(found->second, nullptr, false);
  if (!saved.is_object())
    fail(path.string(), ": does not say how the training was started, wanted a checkpoint of fieldstep train");
  // Steps and epochs are two names of one wish.
  const bool length_given = command.count("--steps") + command.count("--epochs") > 0;
  options.visit([&](const std::string& name, auto& value) {
    if (command.count(name) > 0 || ((name == "--steps" || name == "--epochs") && length_given)) return;
    if (name == "--model" && command.count("--network") > 0) return;
    if (!saved.contains(name)) return;  // of a version that did not have it
    try {
      saved.at(name).get_to(value);
    } catch (const nlohmann::json::exception&) {
      fail(path.string(), ": does not say what ", name, " was");
    }
  });
}

Beginning begin(TrainingOptions& options, const CLI::App& command) {
  Beginning beginning{.begun = has_checkpoint(options)};
  const fs::path last = fs::path(options.output) / "last.safetensors";
  if (beginning.begun) {
    const io::TensorFile checkpoint = io::read_safetensors(last);
    complete(options, command, checkpoint, last);
    for (const auto& [key, text] : checkpoint.metadata)
      if (key == "fieldstep.source" || key == "fieldstep.licence" || key == start_key) beginning.metadata[key] = text;
  } else if (options.resume && !options.quiet) {
    std::cerr << "fieldstep: " << options.output << " holds no checkpoint yet, the training begins\n";
  }
  if (!options.checkpoint.empty() && beginning.begun && command.count("--checkpoint") > 0)
    fail_usage("--checkpoint: not with --resume, which goes on from ", last.string());
  for (std::vector<std::string>* paths : {&options.data.files, &options.data.validation_files})
    for (std::string& path : *paths) path = fs::absolute(path).string();
  return beginning;
}

bool has_checkpoint(const TrainingOptions& options) {
  const fs::path folder = options.output;
  if (!fs::exists(folder)) return false;
  if (!fs::is_directory(folder)) fail(options.output, ": is no folder");
  const bool begun = fs::exists(folder / "last.safetensors");
  if (begun && !options.resume)
    fail(options.output, ": holds a training already (last.safetensors); --resume goes on with it");
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!begun && name != "log.jsonl" && !is_leftover(name))
      fail(options.output, ": holds ", name, " and no training, wanted a folder of its own");
  }
  return begun;
}

void prepare_folder(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder)) fs::create_directory(folder, error);
  if (error) fail(folder.string(), ": cannot be created (", error.message(), ")");
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (is_leftover(entry.path().filename().string())) fs::remove(entry.path(), error);
}

std::string start_weights(const TrainingOptions& options, const ModelEntry& entry, float* weights, Key key,
                          train::Description& metadata) {
  if (options.checkpoint.empty()) {
    if (entry.initialise)
      entry.initialise(weights, key);
    else
      initialise(entry.table, weights, key);
    return std::to_string(entry.table.size()) + " initialised";
  }
  const io::TensorFile file = open_weights(options.checkpoint);
  metadata["fieldstep.source"] = source_of(options.checkpoint);
  const auto licence = file.metadata.find("fieldstep.licence");
  metadata["fieldstep.licence"] =
      licence == file.metadata.end() ? "not stated; that of the source holds" : licence->second;
  return merge_weights(file, options.checkpoint, entry.table, weights, key);
}

}  // namespace fieldstep::cli
