#pragma once
#include <fieldstep/io/json.hpp>
#include <fieldstep/io/safetensors.hpp>
#include <fieldstep/io/torch_checkpoint.hpp>

#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <string>

/// A folder as Hugging Face's save_pretrained writes it: config.json and the weights in one file or in shards.
namespace fieldstep::io {

namespace detail {

/// weight_map of an index file: which shard holds which tensor.
struct ShardIndex {
  std::map<std::string, std::string> file_of;

  void scalar(const JsonPath& path, JsonScalar& value) {
    if (path.size() != 2 || path[0] != "weight_map") return;
    auto* name = std::get_if<std::string>(&value);
    if (name == nullptr || name->empty() || name->front() == '.' ||
        name->find_first_of(std::string_view("/\\\0", 3)) != name->npos)
      fail("tensor ", printable(path[1]), ": shard is not a plain file name");
    file_of[path[1]] = std::move(*name);
  }
  void open(const JsonPath&, char) {}
  void close(const JsonPath&, char) {}
};

template <class Read>
TensorFile read_shards(const std::filesystem::path& index_path, const Read& read) {
  const MappedFile text(index_path);
  ShardIndex index;
  in_file(index_path, [&] { walk_json(as_text(text.bytes()), index); });

  std::set<std::string> shards;
  for (const auto& [tensor, shard] : index.file_of) shards.insert(shard);
  TensorFile all;
  for (const std::string& shard : shards) {
    TensorFile part = read(index_path.parent_path() / shard);
    all.format = part.format;
    std::ranges::move(part.tensors, std::back_inserter(all.tensors));
    std::ranges::move(part.files, std::back_inserter(all.files));
    std::ranges::move(part.assembled, std::back_inserter(all.assembled));
  }
  in_file(index_path, [&] {
    check_names(all);
    std::set<std::string_view> found;
    for (const StoredTensor& tensor : all.tensors) found.insert(tensor.name);
    for (const auto& [tensor, shard] : index.file_of)
      if (!found.contains(tensor)) fail("tensor ", printable(tensor), " is not in ", shard);
  });
  return all;
}

}  // namespace detail

/// metadata["config"] is the text of config.json.
inline TensorFile read_hf_folder(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  const auto weights = [&] {
    if (fs::exists(folder / "model.safetensors")) return read_safetensors(folder / "model.safetensors");
    if (fs::exists(folder / "model.safetensors.index.json"))
      return detail::read_shards(folder / "model.safetensors.index.json", read_safetensors);
    if (fs::exists(folder / "pytorch_model.bin")) return read_torch(folder / "pytorch_model.bin");
    if (fs::exists(folder / "pytorch_model.bin.index.json"))
      return detail::read_shards(folder / "pytorch_model.bin.index.json", read_torch);
    fail(folder.string(), ": holds neither model.safetensors nor pytorch_model.bin, whole or in shards");
  };
  TensorFile file = weights();
  const MappedFile config(folder / "config.json");
  file.metadata["config"] = as_text(config.bytes());
  return file;
}

}  // namespace fieldstep::io
