#pragma once
#include <fieldstep/io/dtype.hpp>
#include <fieldstep/io/mapped_file.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fieldstep::io {

/// Bounds on what a file may claim, far above what any network has.
inline constexpr std::size_t max_rank = 8, max_tensors = std::size_t{1} << 18;
inline constexpr std::int64_t max_extent = std::int64_t{1} << 40;

using Extents = std::vector<std::int64_t>;

/// (2, 3) as text.
inline std::string shape_text(const auto& shape) {
  std::string text;
  for (const auto extent : shape) text.append(text.empty() ? "" : ", ").append(std::to_string(extent));
  return "(" + text + ")";
}

/// Product of the extents; refuses a rank or an extent no array has, and a product beyond 64 bits.
inline std::uint64_t item_count(const Extents& shape, std::string_view name) {
  if (shape.size() > max_rank)
    fail(printable(name), ": found ", shape.size(), " axes, at most ", max_rank, " are read");
  std::uint64_t count = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0 || extent > max_extent) fail(printable(name), ": extent ", extent, " of shape ", shape_text(shape));
    count = checked_product(count, static_cast<std::uint64_t>(extent), name);
  }
  return count;
}

/// Strides, in items, of a row-major array.
inline Extents row_major(const Extents& shape) {
  Extents stride(shape.size());
  std::int64_t step = 1;
  for (std::size_t axis = shape.size(); axis-- > 0; step *= std::max<std::int64_t>(shape[axis], 1)) stride[axis] = step;
  return stride;
}

/// One array inside a file: described, not copied.
struct StoredTensor {
  std::string name{};
  Dtype dtype = Dtype::f32;
  Extents shape{};
  Extents stride{};                 ///< in items; 0 where an axis repeats, negative where it runs backwards
  const std::byte* data = nullptr;  ///< of the first item, at any alignment
  bool swapped = false;             ///< big-endian items

  std::uint64_t size() const { return item_count(shape, name); }

  /// Whether the items stand in row-major order without gaps.
  bool contiguous() const {
    std::int64_t step = 1;
    for (std::size_t axis = shape.size(); axis-- > 0; step *= shape[axis])
      if (shape[axis] != 1 && stride[axis] != step) return size() == 0;
    return true;
  }

  /// The bytes from the lowest item to the highest.
  Bytes extent_in_file() const {
    if (size() == 0) return {};
    std::int64_t lowest = 0, highest = 0;
    for (std::size_t axis = 0; axis < shape.size(); ++axis)
      (stride[axis] < 0 ? lowest : highest) += (shape[axis] - 1) * stride[axis];
    const auto item = static_cast<std::int64_t>(item_size(dtype));
    return {data + lowest * item, static_cast<std::size_t>((highest - lowest + 1) * item)};
  }
};

/// The named arrays of a weight file, whatever its format.
struct TensorFile {
  std::string format{};  ///< safetensors, torch, flax
  std::vector<StoredTensor> tensors{};
  std::map<std::string, std::string> metadata{};

  /// What the tensors point into: the files themselves and arrays that had to be put together.
  std::vector<MappedFile> files{};
  std::vector<std::unique_ptr<std::byte[]>> assembled{};

  const StoredTensor* find(std::string_view name) const {
    const auto at = std::ranges::find(tensors, name, &StoredTensor::name);
    return at == tensors.end() ? nullptr : &*at;
  }
  /// Gives the pages of one tensor back to the system.
  void release(const StoredTensor& tensor) const {
    for (const MappedFile& file : files) file.release(tensor.extent_in_file());
  }
};

/// Refuses two tensors of one name.
inline void check_names(const TensorFile& file) {
  std::vector<std::string_view> names;
  names.reserve(file.tensors.size());
  for (const StoredTensor& tensor : file.tensors) names.push_back(tensor.name);
  std::ranges::sort(names);
  const auto twin = std::ranges::adjacent_find(names);
  if (twin != names.end()) fail("tensor ", printable(*twin), " occurs twice");
}

/// Runs `read` and puts the file's name in front of what it complains about.
template <class Read>
auto in_file(const std::filesystem::path& path, const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    throw Error(path.string() + ": " + error.what(), error.fault());
  }
}

/// Maps a file and parses it; the result owns the mapping.
template <class Parse>
TensorFile read_mapped(const std::filesystem::path& path, const Parse& parse) {
  MappedFile file(path);
  TensorFile read = in_file(path, [&] { return parse(file.bytes()); });
  read.files.push_back(std::move(file));
  return read;
}

namespace detail {
/// Visits the items in row-major order; `offset` counts items from the first one.
template <class Visit>
void for_each_offset(const StoredTensor& tensor, const Visit& visit) {
  const std::size_t rank = tensor.shape.size();
  const std::int64_t inner = rank > 0 ? tensor.shape[rank - 1] : 1, step = rank > 0 ? tensor.stride[rank - 1] : 0;
  std::array<std::int64_t, max_rank> index{};
  for (std::uint64_t left = tensor.size(); left > 0; left -= static_cast<std::uint64_t>(inner)) {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis + 1 < rank; ++axis) offset += index[axis] * tensor.stride[axis];
    for (std::int64_t i = 0; i < inner; ++i) visit(offset + i * step);
    for (std::size_t axis = rank > 0 ? rank - 1 : 0; axis-- > 0 && ++index[axis] == tensor.shape[axis];)
      index[axis] = 0;
  }
}
}  // namespace detail

/// All numbers of a tensor, converted, in row-major order.
template <class Real>
void copy_numbers(const StoredTensor& tensor, Real* to) {
  visit_items(tensor.dtype, tensor.swapped, tensor.data, tensor.name, [&](const auto* items) {
    detail::for_each_offset(tensor, [&](std::int64_t offset) { *to++ = static_cast<Real>(items[offset]); });
  });
}
template <class Real>
std::vector<Real> numbers(const StoredTensor& tensor) {
  std::vector<Real> values(static_cast<std::size_t>(tensor.size()));
  copy_numbers(tensor, values.data());
  return values;
}

/// The items themselves in row-major order, little-endian: what a writer puts into another file.
inline void copy_items(const StoredTensor& tensor, std::byte* to) {
  const std::size_t size = item_size(tensor.dtype);
  // A complex item is two numbers, each with its own byte order.
  const std::size_t word = tensor.dtype == Dtype::c64 || tensor.dtype == Dtype::c128 ? size / 2 : size;
  detail::for_each_offset(tensor, [&](std::int64_t offset) {
    const std::byte* item = tensor.data + offset * static_cast<std::int64_t>(size);
    for (std::size_t at = 0; at < size; at += word, to += word)
      tensor.swapped ? std::reverse_copy(item + at, item + at + word, to) : std::copy(item + at, item + at + word, to);
  });
}

static_assert(std::endian::native == std::endian::little, "writers copy numbers as they lie in memory");

/// What a writer needs to know of a tensor before its numbers.
struct TensorSpec {
  std::string name;
  Dtype dtype = Dtype::f32;
  Extents shape;

  std::uint64_t bytes() const { return checked_product(item_count(shape, name), item_size(dtype), name); }
};

/// Puts tensor i of the list, row-major and little-endian, into `to`: one tensor at a time is in memory.
using TensorSource = std::function<void(std::size_t i, std::span<std::byte> to)>;

/// The tensors of a file for a writer.
inline std::vector<TensorSpec> specs_of(const TensorFile& file) {
  std::vector<TensorSpec> specs;
  for (const StoredTensor& tensor : file.tensors) specs.push_back({tensor.name, tensor.dtype, tensor.shape});
  return specs;
}
inline TensorSource source_of(const TensorFile& file) {
  return [&file](std::size_t i, std::span<std::byte> to) { copy_items(file.tensors[i], to.data()); };
}

}  // namespace fieldstep::io
