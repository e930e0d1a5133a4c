#include <examples/cli/commands.hpp>
#include <examples/cli/sha256.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/mapped_file.hpp>

#include <array>
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
  bool quiet = false;
};

using Json = nlohmann::ordered_json;

/// What a user of the converted file has to know of it beside its numbers.
std::map<std::string, std::string> metadata_of(const io::TensorFile& file, const io::Recognised& network,
                                               const Options& options) {
  // MPP's vocabulary; its last two states are spare.
  constexpr std::array vocabulary{"h",  "Vx", "Vy",      "particles", "activator", "inhibitor",
                                  "Vx", "Vy", "density", "pressure",  "",          ""};
  std::map<std::string, std::string> metadata = file.metadata;
  metadata["fieldstep.family"] = network.family;
  metadata["fieldstep.variant"] = network.variant;
  metadata["fieldstep.config"] = Json{{"bias", network.bias},
                                      {"blocks", network.blocks},
                                      {"embed_dim", network.embed_dim},
                                      {"heads", network.heads},
                                      {"patch", 16},
                                      {"states", network.states}}
                                     .dump();
  if (network.states == std::ssize(vocabulary)) metadata.try_emplace("fieldstep.channels", Json(vocabulary).dump());
  metadata["fieldstep.normalisation"] =
      Json{{"eps", 1e-7}, {"kind", "mean and unbiased deviation of every sample and field over time and space"}}.dump();
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
  const io::Recognised network = io::recognise(io::named_shapes(file));
  if (network.family != "mpp") fail(options.checkpoint, ": holds ", network.text(), ", wanted weights of an AViT");
  if (!options.variant.empty() && network.variant != options.variant)
    fail(options.checkpoint, ": holds weights of ", network.text(), ", wanted AViT-", options.variant, " (--variant)");
  save_weights(options.output, file, metadata_of(file, network, options));
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
      ->check(CLI::IsMember({"Ti", "S", "B", "L"}));
  command.add_option("--licence", options->licence, "Licence of the weights, kept in the metadata (safetensors)");
  command.add_flag("--quiet", options->quiet, "Print nothing but errors");
  command.footer(
      "Numbers keep their type; no model of that size needs to be compiled in, and one tensor at a time is in memory.\n"
      "Example: fieldstep convert --checkpoint MPP_AViT_Ti.tar --output avit_ti.safetensors --variant Ti");
  command.callback([options] { run(*options); });
}

}  // namespace fieldstep::cli
