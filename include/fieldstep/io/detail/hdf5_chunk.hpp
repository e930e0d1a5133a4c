#pragma once
#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fieldstep/io/lzf.hpp>
#include <span>
#include <vector>

/// Unpacking of HDF5's chunks. The library could do it, but it never compares the size of an unpacked chunk with the
/// size it needs, and reads past the end of a short one.
namespace fieldstep::io::detail {

enum class Compressor { none, deflate, lzf };

/// The filters of a dataset in the order of writing: shuffle, then a compressor. Any other order is refused.
struct ChunkPacking {
  bool shuffled = false;
  Compressor compressor = Compressor::none;
};

/// Byte k of all items came before byte k + 1 of any; what is left over at the end was never moved.
inline void unshuffle(std::span<const std::byte> in, std::size_t item_bytes, std::span<std::byte> out) {
  const std::size_t items = in.size() / item_bytes;
  for (std::size_t k = 0; k < item_bytes; ++k)
    for (std::size_t i = 0; i < items; ++i) out[i * item_bytes + k] = in[k * items + i];
  const std::size_t moved = items * item_bytes;
  std::ranges::copy(in.subspan(moved), out.begin() + static_cast<std::ptrdiff_t>(moved));
}

/// Fills `out` from the bytes as stored. Bit i of `skipped` says that filter i was not applied to this chunk. False if
/// they do not unpack to exactly that many bytes.
inline bool unpack_chunk(std::span<const std::byte> stored, ChunkPacking packing, std::uint32_t skipped,
                         std::size_t item_bytes, std::span<std::byte> out) {
  const bool shuffled = packing.shuffled && !(skipped & 1);
  const bool compressed = packing.compressor != Compressor::none && !(skipped >> (packing.shuffled ? 1 : 0) & 1);

  std::vector<std::byte> between(compressed && shuffled ? out.size() : 0);
  std::span<const std::byte> items = stored;
  if (compressed) {
    const std::span<std::byte> target = shuffled ? std::span(between) : out;
    if (packing.compressor == Compressor::lzf) {
      if (!lzf_decompress(stored, target)) return false;
    } else {
      uLongf size = target.size();
      if (uncompress(reinterpret_cast<Bytef*>(target.data()), &size, reinterpret_cast<const Bytef*>(stored.data()),
                     stored.size()) != Z_OK ||
          size != target.size())
        return false;
    }
    items = target;
  }
  if (items.size() != out.size()) return false;
  if (shuffled)
    unshuffle(items, item_bytes, out);
  else if (!compressed)
    std::ranges::copy(items, out.begin());
  return true;
}

}  // namespace fieldstep::io::detail
