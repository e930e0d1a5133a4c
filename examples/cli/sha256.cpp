#include <examples/cli/sha256.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace fieldstep::cli {

namespace {

using Word = std::uint32_t;

constexpr std::array<Word, 64> primes = [] {
  std::array<Word, 64> found{};
  std::size_t count = 0;
  for (Word candidate = 2; count < found.size(); ++candidate) {
    bool prime = true;
    for (Word divisor = 2; divisor * divisor <= candidate; ++divisor) prime &= candidate % divisor != 0;
    if (prime) found[count++] = candidate;
  }
  return found;
}();

/// First 32 bits of a number's fractional part.
Word fraction(long double number) { return static_cast<Word>((number - std::floor(number)) * 4294967296.0L); }

class Digest {
 public:
  Digest() {
    for (std::size_t i = 0; i < 8; ++i) state_[i] = fraction(std::sqrt(static_cast<long double>(primes[i])));
    for (std::size_t i = 0; i < 64; ++i) constants_[i] = fraction(std::cbrt(static_cast<long double>(primes[i])));
  }

  /// One block of 64 bytes.
  void add(const std::byte* block) {
    std::array<Word, 64> w{};
    for (std::size_t i = 0; i < 16; ++i)
      for (std::size_t b = 0; b < 4; ++b) w[i] = w[i] << 8 | std::to_integer<Word>(block[4 * i + b]);
    for (std::size_t i = 16; i < 64; ++i) {
      const Word s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
      const Word s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state_;
    for (std::size_t i = 0; i < 64; ++i) {
      const Word s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25), choice = (e & f) ^ (~e & g);
      const Word t1 = h + s1 + choice + constants_[i] + w[i];
      const Word s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22), majority = (a & b) ^ (a & c) ^ (b & c);
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + s0 + majority;
    }
    const std::array<Word, 8> mixed{a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) state_[i] += mixed[i];
  }

  std::string text() const {
    std::string digits;
    for (const Word word : state_)
      for (int shift = 28; shift >= 0; shift -= 4) digits += "0123456789abcdef"[word >> shift & 15];
    return digits;
  }

 private:
  std::array<Word, 8> state_{};
  std::array<Word, 64> constants_{};
};

}  // namespace

std::string sha256(io::Bytes bytes) {
  Digest digest;
  const std::size_t whole = bytes.size() / 64 * 64;
  for (std::size_t at = 0; at < whole; at += 64) digest.add(bytes.data() + at);

  const std::size_t rest = bytes.size() - whole;
  std::vector<std::byte> end(rest < 56 ? 64 : 128);
  std::memcpy(end.data(), bytes.data() + whole, rest);
  end[rest] = std::byte{0x80};
  for (std::size_t b = 0; b < 8; ++b)
    end[end.size() - 1 - b] = static_cast<std::byte>(std::uint64_t{bytes.size()} * 8 >> 8 * b);
  for (std::size_t at = 0; at < end.size(); at += 64) digest.add(end.data() + at);
  return digest.text();
}

}  // namespace fieldstep::cli
