#pragma once
#include <examples/cli/models.hpp>
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

/// Which network the tensors of an opened file are of. Refuses a folder whose config.json describes another one.
Network network_of(const io::TensorFile& file, const std::filesystem::path& path);

/// Fills a model with the tensors of an opened file; refuses any mismatch, and NaN or infinity.
void load_weights(const io::TensorFile& file, const std::filesystem::path& path, const embed::ModelEntry& entry,
                  embed::Model& model);

/// Start values for `entry`: what fits of an opened file, everything else drawn anew (seed), written in the format that
/// the name's ending says. Returns what became of every parameter, as text.
std::string save_merged(const std::filesystem::path& output, const io::TensorFile& file,
                        const std::filesystem::path& path, const embed::ModelEntry& entry, std::uint64_t seed,
                        const std::map<std::string, std::string>& metadata);

/// Writes the tensors of an opened file in the format that the name's ending says: .safetensors, .msgpack.
void save_weights(const std::filesystem::path& path, const io::TensorFile& file,
                  const std::map<std::string, std::string>& metadata);

}  // namespace fieldstep::cli
