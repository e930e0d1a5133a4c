#pragma once
#include <examples/cli/models.hpp>
#include <fieldstep/core/random.hpp>
#include <fieldstep/embed/registry.hpp>
#include <fieldstep/io/tensor_file.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

/// Weight files for all subcommands: the readers of all formats are compiled once.
namespace fieldstep::cli {

/// A file or folder of any format, under PyTorch's names.
io::TensorFile open_weights(const std::filesystem::path& path);

/// Which network the tensors of an opened file are of, with the configuration that a folder or a converted file brings.
/// Refuses one that describes another network.
Network network_of(const io::TensorFile& file, const std::filesystem::path& path);

/// What a user of a network's weights has to know of it beside the numbers: metadata of a safetensors file.
std::map<std::string, std::string> metadata_of(const Network& network);

/// Name and SHA-256 of a file that others are made from, as metadata has it.
std::string source_of(const std::filesystem::path& path);

/// Fills a model with the tensors of an opened file; refuses any mismatch, and NaN or infinity.
void load_weights(const io::TensorFile& file, const std::filesystem::path& path, const embed::ModelEntry& entry,
                  embed::Model& model);

/// Start values for training: what fits of an opened file, everything else drawn anew. Returns what became of every
/// parameter, as text.
std::string merge_weights(const io::TensorFile& file, const std::filesystem::path& path, ParamTable table,
                          float* weights, Key key);

/// Start values for `entry`: what fits of an opened file, everything else drawn anew (seed), written in the format that
/// the name's ending says. Returns what became of every parameter, as text.
std::string save_merged(const std::filesystem::path& output, const io::TensorFile& file,
                        const std::filesystem::path& path, const embed::ModelEntry& entry, std::uint64_t seed,
                        const std::map<std::string, std::string>& metadata);

/// Writes the weights of a training as safetensors.
void save_weights(const std::filesystem::path& path, ParamTable table, const float* weights,
                  const std::map<std::string, std::string>& metadata);

/// Writes the tensors of an opened file in the format that the name's ending says: .safetensors, .msgpack.
void save_weights(const std::filesystem::path& path, const io::TensorFile& file,
                  const std::map<std::string, std::string>& metadata);

}  // namespace fieldstep::cli
