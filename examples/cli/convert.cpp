#include <examples/cli/commands.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/sha256.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/mapped_file.hpp>

#include <array>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace fieldstep::cli {

namespace {

struct Options {
  std::string checkpoint, output, variant, licence;
  Wanted model;
  std::uint64_t seed = 0;
  bool merge = false, quiet = false;
};

using Json = nlohmann::ordered_json;

/// What a user of the converted file has to know of it beside its numbers.
std::map<std::string, std::string> metadata_of(const io::TensorFile& file, const Network& known,
                                               const Options& options) {
  const io::Recognised& network = known.sizes;
  // MPP's vocabulary; its last two states are spare.
  constexpr std::array vocabulary{"h",  "Vx", "Vy",      "particles", "activator", "inhibitor",
                                  "Vx", "Vy", "density", "pressure",  "",          ""};
  std::map<std::string, std::string> metadata = file.metadata;
  metadata["fieldstep.family"] = network.family;
  metadata["fieldstep.variant"] = network.variant;
  if (network.family == "poseidon") {
    Json config{{"depths", network.depths},
                {"embed_dim", network.embed_dim},
                {"num_channels", network.num_channels},
                {"num_heads", network.num_heads},
                {"num_out_channels", network.num_out_channels},
                {"patch_size", network.patch_size},
                {"residual_model", network.residual_model.empty() ? "convnext" : network.residual_model},
                {"skip_connections", network.skip_connections},
                {"use_absolute_embeddings", network.absolute_positions},
                {"use_conditioning", network.use_conditioning}};
    if (known.config) {
      config["image_size"] = known.config->image_size;
      config["window_size"] = known.config->window_size;
      config["layer_norm_eps"] = known.config->layer_norm_eps;
      config["learn_residual"] = known.config->learn_residual;
    }
    metadata.erase("config");
    metadata["fieldstep.config"] = config.dump();
  } else {
    metadata["fieldstep.config"] = Json{{"bias", network.bias},
                                        {"blocks", network.blocks},
                                        {"embed_dim", network.embed_dim},
                                        {"heads", network.heads},
                                        {"patch", 16},
                                        {"states", network.states}}
                                       .dump();
    if (network.states == std::ssize(vocabulary)) metadata.try_emplace("fieldstep.channels", Json(vocabulary).dump());
    metadata["fieldstep.normalisation"] =
        Json{{"eps", 1e-7}, {"kind", "mean and unbiased deviation of every sample and field over time and space"}}
            .dump();
  }
  Json source{{"file", std::filesystem::path(options.checkpoint).filename().string()}};
  if (std::filesystem::is_regular_file(options.checkpoint))
    source["sha256"] = sha256(io::MappedFile(options.checkpoint).bytes());
  metadata.try_emplace("fieldstep.source", source.dump());
  if (!options.licence.empty()) metadata["fieldstep.licence"] = options.licence;
  metadata.try_emplace("fieldstep.licence", "not stated; that of the source holds");
  return metadata;
}

void run(const Options& options) {
  const io::TensorFile file = open_weights(options.checkpoint);
  const Network known = network_of(file, options.checkpoint);
  const io::Recognised& network = known.sizes;
  if (network.family.empty())
    fail(options.checkpoint, ": holds ", network.text(), ", wanted weights of an AViT or a ScOT");
  if (!options.variant.empty() && network.variant != options.variant)
    fail(options.checkpoint, ": holds weights of ", network.text(), ", wanted ",
         network.family == "mpp" ? "AViT-" : "Poseidon ScOT-", options.variant, " (--variant)");
  if (options.merge) {
    if (options.model.name.empty())
      fail_usage("--merge: wanted --model, the compiled-in model that the weights are for");
    const ModelEntry entry = choose(options.model);
    const KokkosThreads kokkos(0);
    const std::string report =
        save_merged(options.output, file, options.checkpoint, entry, options.seed,
                    metadata_of(file, {.sizes = recognise(entry), .config = known.config}, options));
    if (!options.quiet) std::cout << options.output << ": " << recognise(entry).text() << ", " << report << '\n';
    return;
  }
  save_weights(options.output, file, metadata_of(file, known, options));
  if (!options.quiet)
    std::cout << options.output << ": " << network.text() << ", " << file.tensors.size() << " tensors from "
              << options.checkpoint << " (" << file.format << ")\n";
}

}  // namespace

void add_convert(CLI::App& app) {
  CLI::App& command = *app.add_subcommand("convert", "Write weights of any format as safetensors or Flax msgpack");
  const auto options = std::make_shared<Options>();
  command
      .add_option("--checkpoint", options->checkpoint,
                  "PyTorch checkpoint, safetensors, Flax msgpack or Hugging Face folder")
      ->required();
  command.add_option("--output", options->output, "File to write: .safetensors or .msgpack")->required();
  command.add_option("--variant", options->variant, "Variant that the weights must be of")
      ->check(CLI::IsMember({"Ti", "T", "S", "B", "L"}));
  command.add_flag("--merge", options->merge,
                   "Weights for --model: what fits in name and shape is taken, everything else drawn anew");
  options->model.add_to(command);
  command.add_option("--seed", options->seed, "Of what is drawn anew")->capture_default_str();
  command.add_option("--licence", options->licence, "Licence of the weights, kept in the metadata (safetensors)");
  command.add_flag("--quiet", options->quiet, "Print nothing but errors");
  command.footer(
      "Numbers keep their type; no model of that size needs to be compiled in, and one tensor at a time is in memory.\n"
      "Example: fieldstep convert --checkpoint MPP_AViT_Ti.tar --output avit_ti.safetensors --variant Ti");
  command.callback([options] { run(*options); });
}

}  // namespace fieldstep::cli
