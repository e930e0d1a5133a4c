#pragma once
#include <fieldstep/io/bytes.hpp>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

namespace fieldstep::io {

struct ZipMember {
  std::string_view name;
  std::uint16_t method = 0;  ///< 0 stored, 8 deflated
  std::uint32_t crc = 0;     ///< of the unpacked bytes
  std::uint64_t size = 0;    ///< unpacked
  Bytes packed;              ///< as they stand in the file
};

/// The members of a ZIP archive, by name.
struct ZipArchive {
  std::vector<ZipMember> members;

  const ZipMember* find(std::string_view name) const {
    const auto at = std::ranges::lower_bound(members, name, {}, &ZipMember::name);
    return at == members.end() || at->name != name ? nullptr : &*at;
  }
};

namespace detail {

struct ZipDirectory {
  std::uint64_t count = 0, size = 0, offset = 0;
};

/// From the record at the end of the file and, if a zip64 locator stands before it, from the zip64 record.
inline ZipDirectory find_zip_directory(Bytes bytes) {
  constexpr std::uint64_t end_size = 22, locator_size = 20;
  if (bytes.size() < end_size) fail("ends before the zip archive's end record");
  const std::uint64_t end_at = bytes.size() - end_size;
  ByteReader end(bytes, end_at);
  if (end.number<std::uint32_t>("end record") != 0x06054b50u)
    fail("no zip end record in the last ", end_size, " bytes");
  const auto disk = end.number<std::uint16_t>("disk"), first_disk = end.number<std::uint16_t>("disk");
  const auto here = end.number<std::uint16_t>("members"), count = end.number<std::uint16_t>("members");
  ZipDirectory found{.count = count,
                     .size = end.number<std::uint32_t>("directory size"),
                     .offset = end.number<std::uint32_t>("directory offset")};
  if (end.number<std::uint16_t>("comment length") != 0) fail("zip archive with a comment");
  if (disk != first_disk || here != count) fail("zip archive in several parts");

  std::uint64_t directory_end = end_at;
  if (end_at >= locator_size) {
    ByteReader locator(bytes, end_at - locator_size);
    if (locator.number<std::uint32_t>("zip64 locator") == 0x07064b50u) {
      locator.take(4, "zip64 locator");
      directory_end = locator.number<std::uint64_t>("zip64 locator");
      ByteReader record(bytes, directory_end);
      if (record.number<std::uint32_t>("zip64 end record") != 0x06064b50u)
        fail("no zip64 end record at byte ", directory_end);
      record.take(20, "zip64 end record");
      const auto here64 = record.number<std::uint64_t>("members");
      found = {.count = record.number<std::uint64_t>("members"),
               .size = record.number<std::uint64_t>("directory size"),
               .offset = record.number<std::uint64_t>("directory offset")};
      if (here64 != found.count) fail("zip archive in several parts");
    }
  }
  if (found.offset > directory_end || directory_end - found.offset != found.size)
    fail("zip directory of ", found.size, " bytes at ", found.offset, " does not end at ", directory_end);
  return found;
}

/// A name that stays inside the archive's own folder.
inline bool plain_member_name(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find_first_of(std::string_view("\\\0", 2)) != name.npos) return false;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    if (name.substr(at, end - at) == "..") return false;
    at = end + 1;
  }
  return true;
}

}  // namespace detail

/// Reads the central directory (local headers may lack sizes) and finds every member's bytes. The result points into
/// `bytes`. Refuses what a writer of arrays never makes: encryption, comments, bytes before the first member, overlaps.
inline ZipArchive parse_zip(Bytes bytes) {
  constexpr std::uint64_t max_members = 1'000'000, entry_size = 46;
  const detail::ZipDirectory directory = detail::find_zip_directory(bytes);
  if (directory.count > max_members || directory.count > directory.size / entry_size)
    fail("zip directory of ", directory.size, " bytes claims ", directory.count, " members");

  ZipArchive archive;
  archive.members.reserve(static_cast<std::size_t>(directory.count));
  struct Range {
    std::uint64_t begin, end;
  };
  std::vector<Range> ranges;
  ranges.reserve(archive.members.capacity());

  ByteReader reader(bytes.first(static_cast<std::size_t>(directory.offset + directory.size)), directory.offset);
  for (std::uint64_t i = 0; i < directory.count; ++i) {
    if (reader.number<std::uint32_t>("directory entry") != 0x02014b50u) fail("directory entry ", i, " is not one");
    reader.take(4, "versions");
    const auto flags = reader.number<std::uint16_t>("flags");
    ZipMember member;
    member.method = reader.number<std::uint16_t>("method");
    reader.take(4, "time");
    member.crc = reader.number<std::uint32_t>("crc");
    std::uint64_t packed = reader.number<std::uint32_t>("packed size");
    member.size = reader.number<std::uint32_t>("size");
    const auto name_length = reader.number<std::uint16_t>("name length");
    const auto extra_length = reader.number<std::uint16_t>("extra length");
    const auto comment_length = reader.number<std::uint16_t>("comment length");
    reader.take(8, "attributes");
    std::uint64_t header = reader.number<std::uint32_t>("header offset");
    member.name = as_text(reader.take(name_length, "name"));
    if (!detail::plain_member_name(member.name))
      fail("member name ", printable(member.name), " leads out of the archive");
    for (ByteReader extra(reader.take(extra_length, "extra fields")); extra.left() >= 4;) {
      const auto id = extra.number<std::uint16_t>("extra field");
      ByteReader field(extra.take(extra.number<std::uint16_t>("extra field"), "extra field"));
      if (id != 1) continue;  // zip64
      for (std::uint64_t* value : {&member.size, &packed, &header})
        if (*value == 0xffffffffu) *value = field.number<std::uint64_t>("zip64 field");
    }
    reader.take(comment_length, "comment");

    if ((flags & 1) != 0) fail("member ", printable(member.name), " is encrypted");
    if (member.method != 0 && member.method != 8)
      fail("member ", printable(member.name), ": compression method ", member.method);
    if (member.method == 0 && packed != member.size)
      fail("member ", printable(member.name), ": stored, but ", packed, " bytes for ", member.size);

    if (header > directory.offset)
      fail("member ", printable(member.name), ": header at byte ", header, " of the directory");
    ByteReader local(bytes.first(static_cast<std::size_t>(directory.offset)), header);
    if (local.number<std::uint32_t>("member header") != 0x04034b50u)
      fail("member ", printable(member.name), ": no header at byte ", header);
    local.take(22, "member header");
    const auto local_name = local.number<std::uint16_t>("name length");
    const auto local_extra = local.number<std::uint16_t>("extra length");
    if (as_text(local.take(local_name, "name")) != member.name)
      fail("member ", printable(member.name), " has another name in its own header");
    local.take(local_extra, "extra fields");
    member.packed = local.take(packed, "member");
    ranges.push_back({header, local.position()});
    archive.members.push_back(member);
  }
  if (reader.left() != 0) fail("zip directory has ", reader.left(), " bytes behind its last member");

  std::ranges::sort(ranges, {}, &Range::begin);
  if (!ranges.empty() && ranges.front().begin != 0) fail(ranges.front().begin, " bytes before the first member");
  for (std::size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].begin < ranges[i - 1].end) fail("members overlap at byte ", ranges[i].begin);
  std::ranges::sort(archive.members, {}, &ZipMember::name);
  const auto twin = std::ranges::adjacent_find(archive.members, {}, &ZipMember::name);
  if (twin != archive.members.end()) fail("member ", printable(twin->name), " occurs twice");
  return archive;
}

}  // namespace fieldstep::io
