#pragma once
#include <cstddef>
#include <span>

namespace fieldstep::io {

/// Undoes LZF (liblzf's stream, as h5py writes it). True if the stream is sound and fills `out` exactly.
///   control c < 32: c + 1 literal bytes follow
///   otherwise:      copy of (c >> 5) + 2 bytes (7: one more length byte) from ((c & 31) << 8 | next) + 1 bytes back
inline bool lzf_decompress(std::span<const std::byte> in, std::span<std::byte> out) noexcept {
  std::size_t read = 0, written = 0;
  const auto next = [&] { return std::to_integer<std::size_t>(in[read++]); };
  while (read < in.size()) {
    const std::size_t control = next();
    if (control < 32) {
      const std::size_t length = control + 1;
      if (length > in.size() - read || length > out.size() - written) return false;
      for (std::size_t i = 0; i < length; ++i) out[written++] = in[read++];
      continue;
    }
    std::size_t length = control >> 5;
    if (in.size() - read < (length == 7 ? 2u : 1u)) return false;
    if (length == 7) length += next();
    length += 2;
    const std::size_t back = ((control & 31) << 8) + next() + 1;
    if (back > written || length > out.size() - written) return false;
    for (std::size_t i = 0; i < length; ++i, ++written) out[written] = out[written - back];  // may overlap
  }
  return written == out.size();
}

}  // namespace fieldstep::io
