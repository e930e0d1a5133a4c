#include <examples/cli/commands.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/models.hpp>
#include <examples/cli/tidhy.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace fieldstep::cli {

namespace {

struct Options {
  std::string subject;  // a model, a weight file or nothing
  Wanted model;
  bool params = false, train = false, json = false;
  int batch = 1;  // of --train
};

using Json = nlohmann::ordered_json;

Json json_of(const io::Recognised& network) {
  if (network.family == "poseidon")
    return {{"variant", network.variant},
            {"embed_dim", network.embed_dim},
            {"depths", network.depths},
            {"num_heads", network.num_heads},
            {"skip_connections", network.skip_connections},
            {"patch_size", network.patch_size},
            {"num_channels", network.num_channels},
            {"num_out_channels", network.num_out_channels},
            {"residual_model", network.residual_model},
            {"use_conditioning", network.use_conditioning},
            {"use_absolute_embeddings", network.absolute_positions},
            {"qkv_bias", network.qkv_bias},
            {"mlp_ratio", network.mlp_ratio}};
  if (network.family == "tidhy")
    return {{"r_dim", network.latents[0]},     {"r2_dim", network.latents[1]},        {"mix_dim", network.latents[2]},
            {"input_dim", network.latents[3]}, {"hyper_hid_dim", network.latents[4]}, {"options", network.options}};
  if (network.family == "conv")
    return {{"layers", network.layers},
            {"blocks", network.blocks},
            {"hidden", network.embed_dim},
            {"kernel", network.kernel},
            {"num_channels", network.num_channels},
            {"num_out_channels", network.num_out_channels}};
  return {{"variant", network.variant}, {"embed_dim", network.embed_dim}, {"heads", network.heads},
          {"blocks", network.blocks},   {"states", network.states},       {"bias", network.bias}};
}

Json json_of(const ModelEntry& entry) {
  return {{"family", entry.family},
          {"model", entry.name},
          {"grid", {entry.height, entry.width}},
          {"frames", entry.frames},
          {"fields", entry.fields},
          {"out_fields", entry.out_fields},
          {"lead_time", entry.lead_time},
          {"configuration", json_of(recognise(entry))},
          {"parameters", param_count(entry.table)},
          {"gflop", 1e-9 * entry.flop(1)},
          {"weight_bytes", entry.weight_bytes},
          {"workspace_bytes", entry.workspace_bytes}};
}

/// Bytes that a step of training holds: weights, gradient, AdamW's two moments, and what the passes keep.
std::size_t training_bytes(const ModelEntry& entry, int batch, Activations activations) {
  return entry.training_size(batch, activations) * sizeof(float) + 2 * entry.weight_bytes;
}

/// The memory of a step of training, before it starts.
Json training_json(const ModelEntry& entry, int batch) {
  if (!entry.make_trainable) return nullptr;
  return {{"batch", batch},
          {"keep_bytes", training_bytes(entry, batch, Activations::keep)},
          {"recompute_bytes", training_bytes(entry, batch, Activations::recompute)}};
}

void print_training(const ModelEntry& entry, int batch) {
  std::cout << entry.name << " on " << entry.height << "x" << entry.width << " with "
            << counted(static_cast<std::size_t>(entry.frames), "frame") << " and "
            << counted(static_cast<std::size_t>(entry.fields), "field");
  if (!entry.make_trainable) {
    std::cout << (entry.make_stepper ? ": trained over rollouts (fieldstep train --method)\n"
                                     : ": for inference only\n");
    return;
  }
  std::cout << ", training on " << counted(static_cast<std::size_t>(batch), "sample")
            << " with AdamW: " << to_mib(training_bytes(entry, batch, Activations::keep)) << " MiB, with --recompute "
            << to_mib(training_bytes(entry, batch, Activations::recompute)) << " MiB (weights, gradient and moments "
            << to_mib(4 * entry.weight_bytes) << " MiB)\n";
}

/// The parameters as an indented tree of their paths.
void print_tree(const std::vector<io::NamedShape>& shapes) {
  std::vector<std::string> open;  // the parts of the path above the current line
  for (const auto& [name, shape] : shapes) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at <= name.size();) {
      const std::size_t end = std::min(name.find('.', at), name.size());
      parts.emplace_back(name.substr(at, end - at));
      at = end + 1;
    }
    const auto same = static_cast<std::size_t>(std::ranges::mismatch(parts, open).in1 - parts.begin());
    for (std::size_t level = same; level < parts.size(); ++level) {
      std::cout << std::string(2 + 2 * level, ' ') << parts[level];
      if (level + 1 == parts.size()) std::cout << "  " << io::shape_text(shape);
      std::cout << '\n';
    }
    parts.pop_back();
    open = std::move(parts);
  }
}

Json json_of(const std::vector<io::NamedShape>& shapes) {
  Json params = Json::object();
  for (const auto& [name, shape] : shapes) params[std::string(name)] = shape;
  return params;
}

void describe_models(const Options& options) {
  const std::vector<ModelEntry> entries = fitting(options.model);
  if (entries.empty()) refuse_unlisted(options.model);
  if (options.json) {
    Json list = Json::array();
    for (const ModelEntry& entry : entries) {
      list.push_back(json_of(entry));
      if (options.params) list.back()["params"] = json_of(io::named_shapes(entry.table));
      if (options.train) list.back()["training"] = training_json(entry, options.batch);
    }
    std::cout << list.dump() << '\n';
    return;
  }
  std::cout << listing(entries);
  if (options.subject.empty() && options.model.grid.empty() && options.model.fields + options.model.frames == 0)
    std::cout << "  for recordings:\n" << tidhy_listing(models::compiled_tidhys());
  if (options.train)
    for (const ModelEntry& entry : entries) print_training(entry, options.batch);
  if (options.model.name.empty()) return;
  std::cout << entries.front().name << ": " << recognise(entries.front()).text() << ", " << entries.front().table.size()
            << " tensors\n";
  if (options.params) print_tree(io::named_shapes(entries.front().table));
}

void describe_tidhys(const Options& options) {
  std::vector<models::TidhyEntry> entries = models::compiled_tidhys();
  std::erase_if(entries, [&](const models::TidhyEntry& e) { return e.name != options.subject; });
  if (entries.empty())
    fail(options.subject, ": is not compiled into this program, which has\n", tidhy_listing(models::compiled_tidhys()));
  if (options.json) {
    Json list = Json::array();
    for (const models::TidhyEntry& entry : entries) {
      list.push_back({{"family", "tidhy"},
                      {"model", entry.name},
                      {"sizes", entry.text},
                      {"input_dim", entry.input_dim},
                      {"parameters", param_count(entry.table)}});
      if (options.params) list.back()["params"] = json_of(io::named_shapes(entry.table));
    }
    std::cout << list.dump() << '\n';
    return;
  }
  std::cout << tidhy_listing(entries);
  if (options.params) print_tree(io::named_shapes(entries.front().table));
}

void describe_weights(const Options& options) {
  const io::TensorFile file = open_weights(options.subject);
  const std::vector<io::NamedShape> shapes = io::named_shapes(file);
  const Network known = network_of(file, options.subject);
  const io::Recognised& network = known.sizes;
  std::map<std::string, std::size_t> dtypes;
  std::uint64_t count = 0;
  for (const io::StoredTensor& tensor : file.tensors) {
    count += tensor.size();
    ++dtypes[std::string(io::name_of(tensor.dtype))];
  }
  const std::vector<ModelEntry> models = fitting({}, known);

  if (options.json) {
    Json about{{"file", options.subject},   {"format", file.format},
               {"family", network.family},  {"tensors", shapes.size()},
               {"numbers", count},          {"dtypes", dtypes},
               {"metadata", file.metadata}, {"configuration", json_of(network)}};
    about["models"] = Json::array();
    for (const ModelEntry& entry : models) {
      about["models"].push_back(json_of(entry));
      if (options.train) about["models"].back()["training"] = training_json(entry, options.batch);
    }
    if (options.params) about["params"] = json_of(shapes);
    std::cout << about.dump() << '\n';
    return;
  }
  std::cout << options.subject << ": " << network.text() << "; " << file.format << ", " << shapes.size() << " tensors, "
            << count << " numbers (";
  for (auto at = dtypes.begin(); at != dtypes.end(); ++at)
    std::cout << (at == dtypes.begin() ? "" : ", ") << at->second << " x " << at->first;
  std::cout << ")\n";
  for (const auto& [key, value] : file.metadata)
    if (key != "config") std::cout << "  " << key << ": " << value << '\n';  // config.json, several screens long
  if (network.family == "tidhy") {
    std::cout << "Compiled in for them: " << tidhy_of(file, options.subject).name << '\n';
    if (options.params) print_tree(shapes);
    return;
  }
  std::cout << (models.empty() ? "No model for them is compiled in.\n" : "Compiled-in models for them:\n");
  if (models.empty() && !network.family.empty())
    std::cout << "Add to examples/cli/CMakeLists.txt: " << model_line({}, known) << '\n';
  if (!models.empty()) std::cout << listing(models);
  if (options.train)
    for (const ModelEntry& entry : models) print_training(entry, options.batch);
  if (options.params) print_tree(shapes);
}

void run(Options options) {
  if (!options.subject.empty() && std::filesystem::exists(options.subject)) {
    describe_weights(options);
    return;
  }
  if (is_tidhy(options.subject)) return describe_tidhys(options);
  if (!options.subject.empty()) {
    const auto& known = embed::compiled_models();
    if (std::ranges::none_of(known, [&](const ModelEntry& e) { return e.name == options.subject; }) &&
        !options.subject.starts_with("avit-") && !options.subject.starts_with("poseidon-") &&
        options.subject.find(';') == std::string::npos)
      fail(options.subject, ": is neither a weight file nor a compiled-in model");
    options.model.name = options.subject;
  }
  describe_models(options);
}

}  // namespace

void add_info(CLI::App& app) {
  CLI::App& command = *app.add_subcommand("info", "What is compiled in, or what a weight file holds");
  const auto options = std::make_shared<Options>();
  command.add_option("SUBJECT", options->subject, "A compiled-in model or a weight file; without: all models");
  command.add_option("--grid", options->model.grid, "Only models of this grid, HEIGHTxWIDTH");
  command.add_option("--frames", options->model.frames, "Only models with this number of frames");
  command.add_option("--fields", options->model.fields, "Only models with this number of fields");
  command.add_flag("--params", options->params, "The tree of parameters with their shapes");
  command.add_flag("--train", options->train, "The memory of a step of training, for a model");
  command.add_option("--batch", options->batch, "Samples of that step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_flag("--json", options->json, "JSON; sizes in bytes");
  command.footer(
      "GFLOP/step counts 2 x multiply-adds of one sample's step, of the last block and the output only the last "
      "frame.\n"
      "Examples: fieldstep info\n"
      "          fieldstep info avit-Ti --params\n"
      "          fieldstep info poseidon-T --train --batch 4\n"
      "          fieldstep info MPP_AViT_Ti.tar");
  command.callback([options] { run(*options); });
}

}  // namespace fieldstep::cli
