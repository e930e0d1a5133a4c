#pragma once
#include <fieldstep/embed/registry.hpp>
#include <fieldstep/io/recognise.hpp>
#include <fieldstep/io/tensor_file.hpp>

#include <filesystem>
#include <map>
#include <string>

/// Weight files for all subcommands: the readers of all formats are compiled once.
namespace fieldstep::cli {

/// A file or folder of any format, under PyTorch's names.
io::TensorFile open_weights(const std::filesystem::path& path);

/// Fills a model with the tensors of an opened file; refuses any mismatch, and NaN or infinity.
void load_weights(const io::TensorFile& file, const std::filesystem::path& path, const embed::ModelEntry& entry,
                  embed::Model& model);

/// Writes the tensors of an opened file in the format that the name's ending says: .safetensors, .msgpack.
void save_weights(const std::filesystem::path& path, const io::TensorFile& file,
                  const std::map<std::string, std::string>& metadata);

}  // namespace fieldstep::cli
