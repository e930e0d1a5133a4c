#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Small weight files put together byte by byte, right ones and wrong ones, without the code under test.
namespace fieldstep::support {

/// What the writers of io/ write to in tests.
struct StringSink {
  std::string bytes;
  void write(std::span<const std::byte> data) { bytes.append(reinterpret_cast<const char*>(data.data()), data.size()); }
  void write(std::string_view text) { bytes += text; }
};

/// A number as `size` little-endian bytes.
inline std::string little(std::uint64_t value, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}
inline std::string big(std::uint64_t value, std::size_t size) {
  const std::string bytes = little(value, size);
  return {bytes.rbegin(), bytes.rend()};
}
/// Bytes given by their values.
inline std::string raw(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) bytes += static_cast<char>(value);
  return bytes;
}
inline std::string floats(std::initializer_list<float> values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.begin(), bytes.size());
  return bytes;
}

inline std::string safetensors(std::string_view header, std::string_view data = {}) {
  return little(header.size(), 8) + std::string(header) + std::string(data);
}

inline std::string npy(std::string_view header, std::string_view data, int version = 1) {
  return "\x93NUMPY" + raw({version, 0}) + little(header.size(), version == 1 ? 2 : 4) + std::string(header) +
         std::string(data);
}

/// --- ZIP ---

struct ZipPart {
  std::string name, data;
  int method = 0;
  std::string local_name = name;  ///< in the member's own header
  int flags = 0;
  std::int64_t header = -1;  ///< where the directory says it begins; -1: the truth
};

/// Stored members, central directory, end record; every field can be made wrong afterwards.
struct Zip {
  std::vector<ZipPart> parts;
  std::string prefix{}, comment{};
  std::int64_t count_error = 0, offset_error = 0, size_error = 0;
  bool zip64 = false;
  std::uint64_t zip64_count = 0;  ///< 0: the true one

  std::string bytes() const {
    std::string file = prefix, directory;
    for (const ZipPart& part : parts) {
      const auto header = part.header < 0 ? file.size() : static_cast<std::uint64_t>(part.header);
      const auto size = part.data.size() + static_cast<std::uint64_t>(size_error);
      const std::string common = little(static_cast<std::uint64_t>(part.flags), 2) +
                                 little(static_cast<std::uint64_t>(part.method), 2) + little(0, 4) + little(0, 4);
      file += "PK\x03\x04" + little(20, 2) + common + little(0, 4) + little(0, 4) + little(part.local_name.size(), 2) +
              little(0, 2) + part.local_name + part.data;
      directory += "PK\x01\x02" + little(20, 2) + little(20, 2) + common + little(size, 4) + little(size, 4) +
                   little(part.name.size(), 2) + little(0, 2) + little(0, 2) + little(0, 8) + little(header, 4) +
                   part.name;
    }
    const auto offset = file.size() + static_cast<std::uint64_t>(offset_error);
    const auto count = parts.size() + static_cast<std::uint64_t>(count_error);
    file += directory;
    if (zip64) {
      const std::uint64_t at = file.size(), count64 = zip64_count != 0 ? zip64_count : count;
      file += "PK\x06\x06" + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 4) + little(0, 4) +
              little(count64, 8) + little(count64, 8) + little(directory.size(), 8) + little(offset, 8);
      file += "PK\x06\x07" + little(0, 4) + little(at, 8) + little(1, 4);
    }
    return file + "PK\x05\x06" + little(0, 4) + little(count, 2) + little(count, 2) + little(directory.size(), 4) +
           little(offset, 4) + little(comment.size(), 2) + comment;
  }
};

/// --- pickle ---

namespace pickled {
inline std::string text(std::string_view s) { return "X" + little(s.size(), 4) + std::string(s); }
inline std::string integer(std::int64_t v) { return raw({0x8a, 8}) + little(static_cast<std::uint64_t>(v), 8); }
inline std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
inline std::string tuple(std::initializer_list<std::string> items) {
  std::string all = "(";
  for (const std::string& item : items) all += item;
  return all + "t";
}
inline std::string dict(std::initializer_list<std::pair<std::string, std::string>> entries) {
  std::string all = "}(";
  for (const auto& [key, value] : entries) all += text(key) + value;
  return all + "u";
}
inline std::string storage(std::string_view key, std::int64_t numel, std::string_view type = "FloatStorage") {
  return tuple({text("storage"), global("torch", type), text(key), text("cpu"), integer(numel)}) + "Q";
}
inline std::string extents(std::initializer_list<std::int64_t> values) {
  std::string all = "(";
  for (const std::int64_t value : values) all += integer(value);
  return all + "t";
}
/// A call of torch._utils._rebuild_tensor_v2.
inline std::string tensor(const std::string& storage, std::int64_t offset, std::initializer_list<std::int64_t> size,
                          std::initializer_list<std::int64_t> stride) {
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({storage, integer(offset), extents(size), extents(stride), raw({0x89}),
                global("collections", "OrderedDict") + ")R"}) +
         "R";
}
/// A whole pickle.
inline std::string file(const std::string& object) { return raw({0x80, 2}) + object + "."; }
}  // namespace pickled

/// A zip checkpoint of one object and its storages.
inline Zip torch_zip(const std::string& pickle, std::initializer_list<std::pair<std::string, std::string>> storages) {
  Zip zip;
  zip.parts.push_back({"archive/data.pkl", pickle});
  for (const auto& [key, data] : storages) zip.parts.push_back({"archive/data/" + key, data});
  zip.parts.push_back({"archive/version", "3\n"});
  return zip;
}

/// A legacy checkpoint: the object, the list of storage keys, then `data` (count and numbers of each storage).
inline std::string torch_legacy(const std::string& pickle, std::initializer_list<std::string> keys,
                                const std::string& data, bool little_endian = true) {
  std::string list = "](";
  for (const std::string& key : keys) list += pickled::text(key);
  return raw({0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e}) +
         pickled::file("M" + little(1001, 2)) +
         pickled::file(pickled::dict(
             {{"protocol_version", "M" + little(1001, 2)}, {"little_endian", raw({little_endian ? 0x88 : 0x89})}})) +
         pickle + pickled::file(list + "e") + data;
}

/// --- msgpack ---

namespace packed {
inline std::string text(std::string_view s) { return raw({0xd9, static_cast<int>(s.size())}) + std::string(s); }
inline std::string map(std::initializer_list<std::pair<std::string, std::string>> entries) {
  std::string all = raw({static_cast<int>(0x80 + entries.size())});
  for (const auto& [key, value] : entries) all += text(key) + value;
  return all;
}
inline std::string bytes(std::string_view data) { return raw({0xc6}) + big(data.size(), 4) + std::string(data); }
inline std::string extension(int type, std::string_view payload) {
  return raw({0xc9}) + big(payload.size(), 4) + raw({type}) + std::string(payload);
}
/// `shape` is the msgpack list of extents.
inline std::string array(const std::string& shape, std::string_view dtype, std::string_view data) {
  return extension(1, raw({0x93}) + shape + text(dtype) + bytes(data));
}
}  // namespace packed

/// The same two tensors, "a.weight" (2, 3) and "b" (), in every format.
inline const std::string tiny_data = floats({1, 2, 3, 4, 5, 6, 7});

inline std::string tiny_safetensors() {
  return safetensors(R"({"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                     R"("b":{"dtype":"F32","shape":[],"data_offsets":[24,28]}})",
                     tiny_data);
}
inline std::string tiny_pickle() {
  using namespace pickled;
  return file(dict({{"model_state", dict({{"module.a.weight", tensor(storage("0", 7), 0, {2, 3}, {3, 1})},
                                          {"module.b", tensor(storage("0", 7), 6, {}, {})}})},
                    {"epoch", integer(3)}}));
}
inline std::string tiny_torch_zip() { return torch_zip(tiny_pickle(), {{"0", tiny_data}}).bytes(); }
inline std::string tiny_torch_legacy() { return torch_legacy(tiny_pickle(), {"0"}, little(7, 8) + tiny_data); }
inline std::string tiny_flax() {
  using namespace packed;
  return map({{"params", map({{"a", map({{"weight", array(raw({0x92, 2, 3}), "float32", tiny_data.substr(0, 24))}})},
                              {"b", array(raw({0x90}), "float32", tiny_data.substr(24))}})}});
}
inline std::string tiny_npy() { return npy("{'descr': '<f4', 'fortran_order': False, 'shape': (7,), }\n", tiny_data); }

}  // namespace fieldstep::support
