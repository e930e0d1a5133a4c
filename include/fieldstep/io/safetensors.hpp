#pragma once
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/json.hpp>
#include <fieldstep/io/tensor_file.hpp>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>

/// safetensors: a header length (u64), a JSON header {name: {dtype, shape, data_offsets}}, then the data without gaps.
namespace fieldstep::io {

namespace detail {

/// Collects the header; offsets are checked afterwards against the data.
class SafetensorsHeader {
 public:
  struct Entry {
    StoredTensor tensor;
    std::uint64_t begin = 0, end = 0;
  };
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;

  void scalar(const JsonPath& path, JsonScalar& value) {
    if (path.size() < 2)
      fail("header: found ", path.empty() ? "a bare value" : printable(path[0]), ", wanted an object");
    if (path[0] == "__metadata__") {
      if (path.size() != 2 || !std::holds_alternative<std::string>(value))
        fail("metadata ", printable(path[1]), " is not a string");
      metadata[path[1]] = std::get<std::string>(std::move(value));
    } else if (path.size() == 2 && path[1] == "dtype") {
      const auto* name = std::get_if<std::string>(&value);
      dtype_ = name == nullptr ? std::nullopt : dtype_named(*name, &DtypeName::safetensors);
      if (!dtype_)
        fail("tensor ", printable(path[0]), ": dtype ",
             name == nullptr ? "is no text" : printable(*name) + " is not known");
    } else if (path.size() == 3 && path[1] == "shape") {
      if (shape_->size() == max_rank) fail("tensor ", printable(path[0]), ": more than ", max_rank, " axes");
      shape_->push_back(static_cast<std::int64_t>(whole(path, value, max_extent)));
    } else if (path.size() == 3 && path[1] == "data_offsets") {
      if (offsets_->size() == 2) fail("tensor ", printable(path[0]), ": more than two data_offsets");
      offsets_->push_back(whole(path, value, std::numeric_limits<std::int64_t>::max()));
    } else if (path.size() == 2 && wanted_list(path[1])) {
      fail("tensor ", printable(path[0]), ": ", path[1], " is not a list");
    }
  }

  void open(const JsonPath& path, char kind) {
    if (path.size() < 2) {
      if (kind != '{') fail("header: found a list, wanted an object");
    } else if (path[0] == "__metadata__") {
      fail("metadata ", printable(path[1]), " is not a string");
    } else if (path.size() == 2 && wanted_list(path[1])) {
      if (kind != '[') fail("tensor ", printable(path[0]), ": ", path[1], " is not a list");
      path[1] == "shape" ? void(shape_.emplace()) : void(offsets_.emplace());
    } else if (path.size() == 2 && path[1] == "dtype") {
      fail("tensor ", printable(path[0]), ": dtype is no text");
    } else if (path.size() == 3 && wanted_list(path[1])) {
      fail("tensor ", printable(path[0]), ": ", path[1], " holds something other than numbers");
    }
  }

  void close(const JsonPath& path, char) {
    if (path.size() != 1 || path[0] == "__metadata__") return;
    if (entries.size() == max_tensors) fail("more than ", max_tensors, " tensors");
    if (!dtype_ || !shape_ || !offsets_ || offsets_->size() != 2)
      fail("tensor ", printable(path[0]), ": dtype, shape or data_offsets is missing");
    if (std::ranges::any_of(path[0], [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }))
      fail("tensor ", printable(path[0]), ": control character in the name");
    StoredTensor tensor{.name = path[0], .dtype = *dtype_, .shape = *std::move(shape_)};
    tensor.stride = row_major(tensor.shape);
    entries.push_back({std::move(tensor), (*offsets_)[0], (*offsets_)[1]});
    dtype_.reset(), shape_.reset(), offsets_.reset();
  }

 private:
  static bool wanted_list(const std::string& field) { return field == "shape" || field == "data_offsets"; }

  static std::uint64_t whole(const JsonPath& path, const JsonScalar& value, std::int64_t limit) {
    const auto* number = std::get_if<std::uint64_t>(&value);
    if (number == nullptr || *number > static_cast<std::uint64_t>(limit))
      fail("tensor ", printable(path[0]), ": ", path[1], " holds something other than whole numbers below ", limit);
    return *number;
  }

  std::optional<Dtype> dtype_;
  std::optional<Extents> shape_;
  std::optional<std::vector<std::uint64_t>> offsets_;
};

}  // namespace detail

/// The result points into `bytes`.
inline TensorFile parse_safetensors(Bytes bytes) {
  constexpr std::uint64_t max_header = 100'000'000;
  ByteReader reader(bytes);
  const auto length = reader.number<std::uint64_t>("header length");
  if (length > max_header) fail("header length ", length, ", at most ", max_header, " is allowed");
  detail::SafetensorsHeader header;
  walk_json(as_text(reader.take(length, "header")), header);

  // In the order of the data, and there neither hole nor overlap.
  std::ranges::sort(header.entries, {}, [](const auto& e) { return std::tuple(e.begin, e.end); });
  const Bytes data = reader.take(reader.left(), "data");
  TensorFile file{.format = "safetensors", .metadata = std::move(header.metadata)};
  file.tensors.reserve(header.entries.size());
  std::uint64_t expected = 0;
  for (auto& [tensor, begin, end] : header.entries) {
    const std::uint64_t size = checked_product(tensor.size(), item_size(tensor.dtype), tensor.name);
    if (begin != expected) fail("tensor ", printable(tensor.name), ": data begin at ", begin, ", wanted ", expected);
    if (end < begin || end - begin != size)
      fail("tensor ", printable(tensor.name), ": data_offsets [", begin, ", ", end, "), its shape needs ", size,
           " bytes");
    if (end > data.size())
      fail("tensor ", printable(tensor.name), ": data end at ", end, ", the file has ", data.size());
    expected = end;
    tensor.data = data.data() + begin;
    file.tensors.push_back(std::move(tensor));
  }
  if (expected != data.size()) fail(data.size() - expected, " bytes behind the last tensor");
  return file;
}

inline TensorFile read_safetensors(const std::filesystem::path& path) { return read_mapped(path, parse_safetensors); }

/// Writes to anything with write(span of bytes) and write(text): header and data in the order the format's own library
/// uses, so that a file read and written again has the same bytes.
template <class Sink>
void write_safetensors(Sink& sink, const std::vector<TensorSpec>& specs,
                       const std::map<std::string, std::string>& metadata, const TensorSource& source) {
  std::vector<std::size_t> order(specs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::tie(specs[i].dtype, specs[i].name); });

  std::string header = "{";
  const auto separated = [&]() -> std::string& { return header += header.size() > 1 ? "," : ""; };
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata)
      header.append(header.back() == '{' ? "" : ",").append(json_string(key)).append(":").append(json_string(value));
    header += "}";
  }
  std::uint64_t at = 0;
  std::size_t largest = 0;
  for (const std::size_t i : order) {
    const TensorSpec& spec = specs[i];
    const std::string_view dtype = about(spec.dtype).safetensors;
    if (dtype.empty()) fail("tensor ", printable(spec.name), ": safetensors has no dtype ", name_of(spec.dtype));
    const std::uint64_t end = at + spec.bytes();
    std::string shape;
    for (const std::int64_t extent : spec.shape) shape.append(shape.empty() ? "" : ",").append(std::to_string(extent));
    separated() += json_string(spec.name) + ":{\"dtype\":\"" + std::string(dtype) + "\",\"shape\":[" + shape +
                   "],\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(end) + "]}";
    largest = std::max(largest, static_cast<std::size_t>(end - at));
    at = end;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');

  std::array<char, 8> length;
  for (std::size_t i = 0; i < length.size(); ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
  sink.write(std::string_view(length.data(), length.size()));
  sink.write(std::string_view(header));
  std::vector<std::byte> buffer(largest);
  for (const std::size_t i : order) {
    const std::span<std::byte> part(buffer.data(), static_cast<std::size_t>(specs[i].bytes()));
    source(i, part);
    sink.write(std::span<const std::byte>(part));
  }
}

}  // namespace fieldstep::io
