#pragma once
#include <fieldstep/core/error.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>

namespace fieldstep::io {

/// The bytes of a file or of a part of one; the reader does not own them and trusts none of them.
using Bytes = std::span<const std::byte>;

inline std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline Bytes as_bytes(std::string_view text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }

/// Text of a foreign file as it may stand in a message: printable, short.
inline std::string printable(std::string_view text) {
  std::string shown = "'";
  for (const char c : text.substr(0, 80)) shown += c >= ' ' && c != 0x7f ? c : '?';
  return shown + (text.size() > 80 ? "...'" : "'");
}

/// a * b, refused where it does not fit.
inline std::uint64_t checked_product(std::uint64_t a, std::uint64_t b, std::string_view what) {
  if (b != 0 && a > std::numeric_limits<std::uint64_t>::max() / b)
    fail(printable(what), ": ", a, " x ", b, " overflows 64 bits");
  return a * b;
}

/// The little-endian number that stands at `at`, aligned or not.
template <std::integral T>
T load_little_endian(const std::byte* at) {
  std::make_unsigned_t<T> value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<decltype(value)>(value |
                                         static_cast<decltype(value)>(static_cast<std::uint64_t>(at[i]) << (8 * i)));
  return static_cast<T>(value);
}

/// Walks forward through bytes; every read is checked against the end.
class ByteReader {
 public:
  explicit ByteReader(Bytes bytes, std::uint64_t at = 0) : bytes_(bytes), at_(at) {
    if (at > bytes.size()) fail("byte ", at, " lies behind the end, ", bytes.size());
  }

  std::uint64_t position() const { return at_; }
  std::uint64_t left() const { return bytes_.size() - at_; }

  Bytes take(std::uint64_t count, std::string_view what) {
    if (count > left()) fail(what, " at byte ", at_, " needs ", count, " bytes, the file has ", left(), " more");
    const Bytes taken = bytes_.subspan(static_cast<std::size_t>(at_), static_cast<std::size_t>(count));
    at_ += count;
    return taken;
  }

  template <std::integral T>
  T number(std::string_view what) {
    return load_little_endian<T>(take(sizeof(T), what).data());
  }

  /// Up to the next newline, which is consumed too.
  std::string_view line(std::string_view what) {
    const std::string_view rest = as_text(bytes_.subspan(static_cast<std::size_t>(at_)));
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) fail(what, " at byte ", at_, " has no end of line");
    at_ += end + 1;
    return rest.substr(0, end);
  }

 private:
  Bytes bytes_;
  std::uint64_t at_;
};

}  // namespace fieldstep::io
