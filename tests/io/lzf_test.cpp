#include <catch2/catch_test_macros.hpp>
#include <fieldstep/io/lzf.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using fieldstep::io::lzf_decompress;

namespace {

/// The text that the stream stands for, or "refused".
std::string unpacked(std::string_view stream, std::size_t size) {
  std::string out(size, '?');
  const bool sound = lzf_decompress(std::as_bytes(std::span(stream)), std::as_writable_bytes(std::span(out)));
  return sound ? out : "refused";
}

}  // namespace

TEST_CASE("lzf_decompress: literals and copies, overlapping ones too", "[io][lzf]") {
  CHECK(unpacked("", 0).empty());
  CHECK(unpacked({"\x02"
                  "abc",
                  4},
                 3) == "abc");
  CHECK(unpacked({"\x02"
                  "abc"
                  "\x20\x02",
                  6},
                 6) == "abcabc");  // 3 bytes from 3 back
  CHECK(unpacked({"\x00"
                  "a"
                  "\xe0\x00\x00",
                  5},
                 10) == "aaaaaaaaaa");  // 9 bytes from 1 back
  CHECK(unpacked({"\x01"
                  "ab"
                  "\xe0\x03\x01",
                  6},
                 14) == "ababababababab");  // the length's second byte
}

TEST_CASE("lzf_decompress: unsound streams are refused", "[io][lzf][hostile]") {
  CHECK(unpacked({"\x02"
                  "ab",
                  3},
                 3) == "refused");  // literals end too early
  CHECK(unpacked({"\x00"
                  "a"
                  "\x20",
                  3},
                 4) == "refused");  // copy without its offset
  CHECK(unpacked({"\x00"
                  "a"
                  "\xe0\x00",
                  4},
                 10) == "refused");  // copy without its length
  CHECK(unpacked({"\x00"
                  "a"
                  "\x20\x01",
                  4},
                 4) == "refused");  // from before the start
  CHECK(unpacked({"\x02"
                  "abc",
                  4},
                 2) == "refused");  // longer than the chunk
  CHECK(unpacked({"\x02"
                  "abc",
                  4},
                 4) == "refused");  // shorter than the chunk
  CHECK(unpacked({"\x00"
                  "a"
                  "\xe0\xff\x00",
                  5},
                 8) == "refused");  // a copy beyond the chunk
}
