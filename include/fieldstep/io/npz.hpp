#pragma once
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/detail/crc32.hpp>
#include <fieldstep/io/named_array.hpp>
#include <fieldstep/io/npy.hpp>
#include <fieldstep/io/zip.hpp>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

/// NumPy's .npz: a ZIP archive whose members <name>.npy are arrays.
namespace fieldstep::io {

namespace detail {

inline void append_little_endian(std::string& bytes, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
}

}  // namespace detail

/// As numpy.savez: members are stored, not packed, and dated 1980, so that equal arrays give equal files.
inline void write_npz(const std::filesystem::path& path, std::span<const NamedArray> arrays) {
  constexpr std::uint64_t local_size = 30, entry_size = 46, end_size = 22;
  constexpr std::uint64_t most_bytes = 0xfffffffe, most_members = 0xfffe;  // the next number says: see the zip64 record
  in_file(path, [&] {
    check_arrays(arrays);
    std::uint64_t total = end_size;
    for (const NamedArray& array : arrays)
      total += local_size + entry_size + 2 * (array.name.size() + 4) + npy_preamble(array.shape).size() +
               array.values.size_bytes();
    if (total > most_bytes || arrays.size() > most_members)
      fail(arrays.size(), " arrays of ", total, " bytes, a .npz file takes ", most_members, " of less than 4 GiB");
  });

  AtomicFile file(path);
  using detail::append_little_endian;
  std::string directory;
  std::uint64_t offset = 0;
  for (const NamedArray& array : arrays) {
    const std::string name = array.name + ".npy", preamble = npy_preamble(array.shape);
    const std::span<const std::byte> numbers = std::as_bytes(array.values);
    const std::uint32_t crc = detail::crc32(numbers, detail::crc32(as_bytes(preamble)));
    const std::uint64_t size = preamble.size() + numbers.size();

    std::string common;                           // to both headers of a member
    append_little_endian(common, 20, 2);          // version of the format: 2.0
    append_little_endian(common, 0, 2);           // flags
    append_little_endian(common, 0, 2);           // method: stored
    append_little_endian(common, 0, 2);           // time
    append_little_endian(common, 1 << 5 | 1, 2);  // date: January 1st of 1980
    append_little_endian(common, crc, 4);
    append_little_endian(common, size, 4);  // packed
    append_little_endian(common, size, 4);
    append_little_endian(common, name.size(), 2);
    append_little_endian(common, 0, 2);  // extra fields

    directory += "PK\x01\x02";
    append_little_endian(directory, 20, 2);  // version of the writer
    directory += common;
    append_little_endian(directory, 0, 2 + 2 + 2 + 4);  // comment, disk, attributes
    append_little_endian(directory, offset, 4);
    directory += name;

    const std::string local = "PK\x03\x04" + common + name + preamble;
    file.write(local);
    file.write(numbers);
    offset += local.size() + numbers.size();
  }

  std::string end = "PK\x05\x06";
  append_little_endian(end, 0, 2 + 2);  // this disk, the directory's
  append_little_endian(end, arrays.size(), 2);
  append_little_endian(end, arrays.size(), 2);
  append_little_endian(end, directory.size(), 4);
  append_little_endian(end, offset, 4);
  append_little_endian(end, 0, 2);  // comment
  file.write(directory + end);
  file.commit();
}

/// The arrays by the names that they have in Python; the result points into `bytes`.
inline TensorFile parse_npz(Bytes bytes) {
  TensorFile file{.format = "npz"};
  for (const ZipMember& member : parse_zip(bytes).members) {
    constexpr std::string_view extension = ".npy";
    if (!member.name.ends_with(extension)) fail("member ", printable(member.name), " is no .npy file");
    if (member.method != 0) fail("member ", printable(member.name), " is compressed, wanted an archive of numpy.savez");
    if (detail::crc32(member.packed) != member.crc) fail("member ", printable(member.name), " is damaged: wrong CRC");
    try {
      file.tensors.push_back(parse_npy(member.packed));
    } catch (const Error& error) {
      fail("member ", printable(member.name), ": ", error.what());
    }
    file.tensors.back().name = member.name.substr(0, member.name.size() - extension.size());
  }
  return file;
}

inline TensorFile read_npz(const std::filesystem::path& path) { return read_mapped(path, parse_npz); }

}  // namespace fieldstep::io
