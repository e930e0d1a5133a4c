#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fieldstep::io::detail {

/// CRC-32 of ZIP (polynomial 0x04c11db7, bits reversed) of what `crc` stands for followed by `bytes`: as zlib's crc32,
/// which would make every user of the umbrella need zlib.
constexpr std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t crc = 0) {
  constexpr auto table = [] {
    std::array<std::uint32_t, 256> remainders{};
    for (std::uint32_t i = 0; i < remainders.size(); ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ ((value & 1) != 0 ? 0xedb88320u : 0);
      remainders[i] = value;
    }
    return remainders;
  }();
  crc = ~crc;
  for (const std::byte byte : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<std::uint32_t>(byte)) & 0xff];
  return ~crc;
}

}  // namespace fieldstep::io::detail
