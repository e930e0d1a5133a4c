#pragma once
#include <fieldstep/io/pickle_machine.hpp>
#include <fieldstep/io/tensor_file.hpp>
#include <fieldstep/io/zip.hpp>

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

/// What torch.save writes: the zip container (since 1.6) and the legacy one, a row of pickles with raw data behind
/// them.
namespace fieldstep::io {

/// First bytes of a legacy file: the pickle of the integer 0x1950a86a20f9469cfc6c.
inline constexpr std::string_view torch_legacy_magic{"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e",
                                                     15};
inline constexpr std::string_view zip_magic{"PK\x03\x04", 4};

namespace detail {

/// The bytes of each storage of a pickle, in its order.
using StorageBytes = std::vector<Bytes>;

inline std::uint64_t storage_size(const pickle::Storage& storage) {
  return checked_product(storage.numel, storage.dtype ? item_size(*storage.dtype) : 1, "storage");
}

inline StoredTensor stored_tensor(std::string_view name, const pickle::Tensor& tensor, const StorageBytes& storages,
                                  std::uint64_t file_size) {
  const auto refuse = [&](const auto&... what) { fail("tensor ", printable(name), ": ", what...); };
  if (tensor.size.size() != tensor.stride.size())
    refuse(tensor.size.size(), " extents, ", tensor.stride.size(), " strides");
  StoredTensor stored{.name = std::string(name), .dtype = tensor.dtype, .shape = tensor.size, .stride = tensor.stride};
  const std::uint64_t count = item_count(tensor.size, name),
                      bytes = checked_product(count, item_size(tensor.dtype), name);
  // A stride of 0 repeats items: a small file must not ask for a huge array.
  if (bytes > 4 * file_size + (std::uint64_t{64} << 20)) refuse(bytes, " bytes from a file of ", file_size);
  if (count > 0) {
    std::uint64_t last = tensor.offset;
    for (std::size_t axis = 0; axis < tensor.size.size(); ++axis) {
      const std::uint64_t step = checked_product(static_cast<std::uint64_t>(tensor.size[axis] - 1),
                                                 static_cast<std::uint64_t>(tensor.stride[axis]), name);
      if (last + step < last) refuse("strides overflow 64 bits");
      last += step;
    }
    if (last >= tensor.view.numel) refuse("reaches item ", last, " of a storage of ", tensor.view.numel);
    stored.data = storages[tensor.view.storage].data() + (tensor.view.offset + tensor.offset) * item_size(tensor.dtype);
  }
  return stored;
}

/// Drops a wrapper's name in front of the keys, where all keys carry it: DistributedDataParallel's and torch.compile's.
inline void strip_wrappers(std::vector<StoredTensor>& tensors) {
  constexpr std::array<std::string_view, 2> wrappers{"module.", "_orig_mod."};
  for (bool found = !tensors.empty(); found;) {
    found = false;
    for (const std::string_view wrapper : wrappers) {
      if (!std::ranges::all_of(tensors, [&](const auto& t) { return t.name.starts_with(wrapper); })) continue;
      for (StoredTensor& tensor : tensors) tensor.name.erase(0, wrapper.size());
      found = true;
    }
  }
}

/// The weights among the objects of a checkpoint.
inline TensorFile state_dict(const pickle::Pickle& pickle, const StorageBytes& storages, std::uint64_t file_size) {
  using pickle::Kind;
  const pickle::Object* dict = &pickle[pickle.root];
  if (dict->kind != Kind::dict) fail("holds no dictionary of tensors");
  for (const std::string_view key : {"model_state", "model_state_dict", "state_dict", "model"})
    if (const pickle::Object* inner = pickle.entry(*dict, key); inner != nullptr && inner->kind == Kind::dict) {
      dict = inner;
      break;
    }

  constexpr std::size_t max_entries = std::size_t{1} << 16, max_name = 512;
  if (dict->items.size() / 2 > max_entries) fail("state dict with more than ", max_entries, " entries");
  TensorFile file{.format = "torch"};
  for (std::size_t i = 0; i < dict->items.size(); i += 2) {
    const pickle::Object &key = pickle[dict->items[i]], &value = pickle[dict->items[i + 1]];
    if (key.kind != Kind::text || key.text.size() > max_name) fail("state dict with a key that is no name");
    if (value.kind != Kind::tensor) fail("entry ", printable(key.text), " of the state dict is not a tensor");
    file.tensors.push_back(
        stored_tensor(key.text, pickle.tensors[static_cast<std::size_t>(value.integer)], storages, file_size));
  }
  if (file.tensors.empty()) fail("holds no tensors");
  strip_wrappers(file.tensors);
  check_names(file);
  return file;
}

}  // namespace detail

/// The result points into `bytes`.
inline TensorFile parse_torch_zip(Bytes bytes) {
  const ZipArchive archive = parse_zip(bytes);
  const auto stored = [](const ZipMember& member) {
    if (member.method != 0) fail("member ", printable(member.name), " is compressed");
    return member.packed;
  };

  constexpr std::string_view ending = "/data.pkl";
  std::string_view root;
  for (const ZipMember& member : archive.members) {
    const std::size_t slash = member.name.find('/');
    if (slash == member.name.npos || member.name.substr(slash) != ending) continue;
    if (!root.empty()) fail("data.pkl occurs twice");
    root = member.name.substr(0, slash);
  }
  if (root.empty()) fail("is a zip archive without data.pkl, not a PyTorch checkpoint");
  const auto member = [&](std::string_view name) { return archive.find(std::string(root) + "/" + std::string(name)); };
  if (member("constants.pkl") != nullptr)
    fail("is a TorchScript program; wanted a checkpoint: torch.save(model.state_dict(), file)");
  const ZipMember* order = member("byteorder");
  const std::string_view byte_order = order == nullptr ? "little" : as_text(stored(*order));
  if (byte_order != "little" && byte_order != "big") fail("byteorder is ", printable(byte_order));

  ByteReader reader(stored(*member("data.pkl")));
  const pickle::Pickle pickle = pickle::Machine::run(reader);
  if (reader.left() != 0) fail(reader.left(), " bytes behind the pickle");

  detail::StorageBytes storages;
  for (const pickle::Storage& storage : pickle.storages) {
    const ZipMember* data = member("data/" + std::string(storage.key));
    if (data == nullptr) fail("storage ", printable(storage.key), " is missing");
    if (const std::uint64_t wanted = detail::storage_size(storage); data->size != wanted)
      fail("storage ", printable(storage.key), " has ", data->size, " bytes, wanted ", wanted);
    storages.push_back(stored(*data));
  }
  TensorFile file = detail::state_dict(pickle, storages, bytes.size());
  for (StoredTensor& tensor : file.tensors) tensor.swapped = byte_order == "big";
  return file;
}

/// The result points into `bytes`.
inline TensorFile parse_torch_legacy(Bytes bytes) {
  using pickle::Kind;
  ByteReader reader(bytes);
  if (as_text(reader.take(torch_legacy_magic.size(), "magic number")) != torch_legacy_magic)
    fail("does not begin with PyTorch's magic number");
  const pickle::Pickle version = pickle::Machine::run(reader);
  if (version[version.root].kind != Kind::integer || version[version.root].integer != 1001)
    fail("legacy checkpoint of another protocol than 1001");
  const pickle::Pickle machine = pickle::Machine::run(reader);
  const pickle::Object* little = machine.entry(machine[machine.root], "little_endian");
  if (little == nullptr || little->kind != Kind::boolean || little->integer != 1)
    fail("legacy checkpoint of a big-endian machine");
  const pickle::Pickle pickle = pickle::Machine::run(reader);
  const pickle::Pickle keys = pickle::Machine::run(reader);
  const pickle::Object& list = keys[keys.root];
  if (list.kind != Kind::list || list.items.size() != pickle.storages.size())
    fail("lists ", list.items.size(), " storages, its tensors use ", pickle.storages.size());

  std::unordered_map<std::string_view, std::size_t> index;
  for (std::size_t i = 0; i < pickle.storages.size(); ++i) index[pickle.storages[i].key] = i;
  detail::StorageBytes storages(pickle.storages.size());
  for (const pickle::Ref item : list.items) {
    const auto known = keys[item].kind == Kind::text ? index.extract(keys[item].text) : decltype(index)::node_type{};
    if (known.empty()) fail("lists a storage twice or one that no tensor uses");
    const pickle::Storage& storage = pickle.storages[known.mapped()];
    if (const auto numel = reader.number<std::uint64_t>("storage size"); numel != storage.numel)
      fail("storage ", printable(storage.key), " has ", numel, " items, wanted ", storage.numel);
    storages[known.mapped()] = reader.take(detail::storage_size(storage), "storage");
  }
  if (reader.left() != 0) fail(reader.left(), " bytes behind the last storage");
  return detail::state_dict(pickle, storages, bytes.size());
}

inline TensorFile parse_torch(Bytes bytes) {
  return as_text(bytes).starts_with(zip_magic) ? parse_torch_zip(bytes) : parse_torch_legacy(bytes);
}
inline TensorFile read_torch(const std::filesystem::path& path) { return read_mapped(path, parse_torch); }

}  // namespace fieldstep::io
