#pragma once
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/tensor_file.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

/// NumPy's .npy: a magic, a Python dictionary {descr, fortran_order, shape} as text, then the numbers.
namespace fieldstep::io {

inline constexpr std::string_view npy_magic{"\x93NUMPY", 6};

namespace detail {

/// The header's dictionary, by a grammar that knows nothing but what numpy writes: no expression is ever evaluated.
class NpyHeader {
 public:
  std::string_view descr;
  bool fortran_order = false;
  Extents shape;

  explicit NpyHeader(std::string_view text) : text_(text) {
    bool has_descr = false, has_order = false, has_shape = false;
    const auto once = [&](bool& seen) {
      if (std::exchange(seen, true)) fail("header names a key twice");
    };
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted_text();
      expect(':');
      if (key == "descr") {
        once(has_descr), descr = quoted_text();
      } else if (key == "fortran_order") {
        once(has_order), fortran_order = boolean();
      } else if (key == "shape") {
        once(has_shape), shape = tuple();
      } else {
        fail("header key ", printable(key), " is not descr, fortran_order or shape");
      }
      if (!accept(',') && !next_is('}')) refuse();
    }
    skip_space();
    if (!text_.empty()) refuse();
    if (!has_descr || !has_order || !has_shape) fail("header lacks descr, fortran_order or shape");
  }

 private:
  [[noreturn]] void refuse() const {
    fail("header is no dictionary of descr, fortran_order and shape at ", printable(text_));
  }

  void skip_space() {
    const std::size_t blank = std::min(text_.find_first_not_of(" \t\n\r"), text_.size());
    text_.remove_prefix(blank);
  }
  bool next_is(char c) {
    skip_space();
    return text_.starts_with(c);
  }
  bool accept(char c) {
    if (!next_is(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) refuse();
  }
  std::string_view quoted_text() {
    const char quote = next_is('"') ? '"' : '\'';
    expect(quote);
    const std::size_t end = text_.find(quote);
    if (end == text_.npos || text_.substr(0, end).find('\\') != text_.npos) refuse();
    const std::string_view inside = text_.substr(0, end);
    text_.remove_prefix(end + 1);
    return inside;
  }
  bool boolean() {
    skip_space();
    for (const std::string_view word : {"True", "False"}) {
      if (!text_.starts_with(word)) continue;
      text_.remove_prefix(word.size());
      return word == "True";
    }
    refuse();
  }
  Extents tuple() {
    Extents values;
    expect('(');
    while (!accept(')')) {
      if (values.size() == max_rank) fail("array of more than ", max_rank, " axes");
      skip_space();
      std::int64_t value = 0;
      const auto [rest, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
      if (error != std::errc{} || value < 0) refuse();
      text_.remove_prefix(static_cast<std::size_t>(rest - text_.data()));
      accept('L');  // Python 2
      values.push_back(value);
      if (!accept(',') && !next_is(')')) refuse();
    }
    return values;
  }

  std::string_view text_;
};

/// '<f4' and its like.
inline std::optional<Dtype> dtype_of_descr(std::string_view descr) {
  struct Kind {
    std::string_view code;
    Dtype dtype;
  };
  constexpr std::array kinds{Kind{"f4", Dtype::f32}, Kind{"f8", Dtype::f64},  Kind{"f2", Dtype::f16},
                             Kind{"i1", Dtype::i8},  Kind{"i2", Dtype::i16},  Kind{"i4", Dtype::i32},
                             Kind{"i8", Dtype::i64}, Kind{"u1", Dtype::u8},   Kind{"u2", Dtype::u16},
                             Kind{"u4", Dtype::u32}, Kind{"u8", Dtype::u64},  Kind{"b1", Dtype::boolean},
                             Kind{"c8", Dtype::c64}, Kind{"c16", Dtype::c128}};
  if (descr.empty() || std::string_view("<>=|").find(descr[0]) == std::string_view::npos) return std::nullopt;
  const auto known = std::ranges::find(kinds, descr.substr(1), &Kind::code);
  if (known == kinds.end() || (descr[0] == '|' && item_size(known->dtype) > 1)) return std::nullopt;
  return known->dtype;
}

}  // namespace detail

/// The result points into `bytes`.
inline StoredTensor parse_npy(Bytes bytes) {
  ByteReader reader(bytes);
  if (as_text(reader.take(npy_magic.size(), "magic")) != npy_magic) fail("is no NumPy array");
  const auto major = reader.number<std::uint8_t>("version");
  reader.number<std::uint8_t>("version");
  if (major < 1 || major > 3) fail("NumPy format ", int{major}, ", known are 1 to 3");
  const std::uint64_t length =
      major == 1 ? reader.number<std::uint16_t>("header length") : reader.number<std::uint32_t>("header length");
  if (length > 65536) fail("header of ", length, " bytes");
  const detail::NpyHeader header(as_text(reader.take(length, "header")));

  const auto dtype = detail::dtype_of_descr(header.descr);
  if (!dtype) fail("holds items of type ", printable(header.descr), ", wanted numbers");
  StoredTensor array{.name = "array", .dtype = *dtype, .shape = header.shape, .swapped = header.descr[0] == '>'};
  const std::uint64_t size = checked_product(array.size(), item_size(*dtype), "array");
  if (reader.left() != size)
    fail("has ", reader.left(), " bytes of data, the shape ", shape_text(array.shape), " needs ", size);
  array.data = reader.take(size, "data").data();
  array.stride = row_major(array.shape);
  if (header.fortran_order) {
    Extents reversed(array.shape.rbegin(), array.shape.rend());
    reversed = row_major(reversed);
    array.stride.assign(reversed.rbegin(), reversed.rend());
  }
  return array;
}

inline TensorFile read_npy(const std::filesystem::path& path) {
  return read_mapped(path, [](Bytes bytes) {
    TensorFile file{.format = "npy"};
    file.tensors.push_back(parse_npy(bytes));
    return file;
  });
}

/// What stands before the numbers of a float32 array, row-major, little-endian: a multiple of 64 bytes.
inline std::string npy_preamble(const Extents& shape) {
  std::string extents;
  for (const std::int64_t extent : shape) extents += std::to_string(extent) + (shape.size() == 1 ? "," : ", ");
  if (shape.size() > 1) extents.resize(extents.size() - 2);
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + extents + "), }";
  constexpr std::size_t before = 10, alignment = 64;
  header.resize((before + header.size() + alignment) / alignment * alignment - before - 1, ' ');
  header += '\n';

  const std::array<char, 4> version_and_length{1, 0, static_cast<char>(header.size() & 0xff),
                                               static_cast<char>(header.size() >> 8)};
  return std::string(npy_magic).append(version_and_length.data(), version_and_length.size()) + header;
}

/// A float32 array, row-major, little-endian.
inline void write_npy(const std::filesystem::path& path, std::span<const float> numbers, const Extents& shape) {
  if (item_count(shape, path.string()) != numbers.size())
    fail(path.string(), ": ", numbers.size(), " numbers for shape ", shape_text(shape));
  AtomicFile file(path);
  file.write(npy_preamble(shape));
  file.write(std::as_bytes(numbers));
  file.commit();
}

}  // namespace fieldstep::io
