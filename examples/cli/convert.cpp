#include <examples/cli/commands.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>

#include <cstdint>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <string>

namespace fieldstep::cli {

namespace {

struct Options {
  std::string checkpoint, output, variant, licence;
  Wanted model;
  std::uint64_t seed = 0;
  bool merge = false, quiet = false;
};

/// What a user of the converted file has to know of it beside its numbers.
std::map<std::string, std::string> metadata_of(const io::TensorFile& file, const Network& network,
                                               const Options& options) {
  std::map<std::string, std::string> metadata = file.metadata;
  if (network.sizes.family == "poseidon") metadata.erase("config");
  for (const auto& [key, text] : metadata_of(network))
    if (key != "fieldstep.channels" || !metadata.contains(key)) metadata[key] = text;
  metadata.try_emplace("fieldstep.source", source_of(options.checkpoint));
  if (!options.licence.empty()) metadata["fieldstep.licence"] = options.licence;
  metadata.try_emplace("fieldstep.licence", "not stated; that of the source holds");
  return metadata;
}

/// The compiled-in model that the weights shall start. Where there is none, the line to add has the channels asked for,
/// and as many out as in if the weights' own network has.
ModelEntry merged_into(const Wanted& wanted, Network network) {
  const std::vector<ModelEntry> entries = fitting(wanted);
  if (!entries.empty()) return entries.front();
  const std::string& family = network.sizes.family;
  const bool same_family = wanted.name.starts_with(family == "mpp"    ? "avit-"
                                                   : family == "conv" ? (network.sizes.blocks > 0 ? "Res;" : "Conv;")
                                                                      : "poseidon-");
  io::Recognised& sizes = network.sizes;
  if (wanted.fields > 0 && sizes.num_out_channels == sizes.num_channels) sizes.num_out_channels = wanted.fields;
  if (wanted.fields > 0) sizes.num_channels = wanted.fields;
  refuse_unlisted(wanted, same_family ? network : Network{});
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
    const ModelEntry entry = merged_into(options.model, known);
    const KokkosThreads kokkos(0);
    const std::string report = save_merged(options.output, file, options.checkpoint, entry, options.seed,
                                           metadata_of(file, network_of(entry), options));
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
