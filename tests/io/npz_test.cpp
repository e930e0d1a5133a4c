#include <fieldstep/io/npz.hpp>
#include <support/array_files.hpp>
#include <support/scratch_folder.hpp>
#include <support/small_disk.hpp>
#include <support/weight_files.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

void write(const std::filesystem::path& path, const std::vector<io::NamedArray>& arrays) {
  io::write_npz(path, arrays);
}

}  // namespace

TEST_CASE("crc32: the check value, and in two parts", "[io][npz]") {
  CHECK(io::detail::crc32(io::as_bytes("123456789")) == 0xcbf43926u);
  CHECK(io::detail::crc32(io::as_bytes("56789"), io::detail::crc32(io::as_bytes("1234"))) == 0xcbf43926u);
  CHECK(io::detail::crc32({}) == 0);
}

TEST_CASE("npz: members are arrays of NumPy, stored, with their checksums", "[io][npz]") {
  const ScratchFolder folder;
  const std::array arrays{io::NamedArray{"r", {3, 2}, six}, io::NamedArray{"a loss", {}, std::span(six).first(1)},
                          io::NamedArray{"empty", {0, 4}, {}}};
  io::write_npz(folder / "a.npz", arrays);
  CHECK(folder.size() == 1);

  const std::string bytes = content(folder / "a.npz");
  const io::ZipArchive archive = io::parse_zip(io::as_bytes(bytes));
  REQUIRE(archive.members.size() == 3);
  for (const io::NamedArray& array : arrays) {
    CAPTURE(array.name);
    const io::ZipMember* member = archive.find(array.name + ".npy");
    REQUIRE(member != nullptr);
    CHECK(member->method == 0);
    CHECK(member->crc == io::detail::crc32(member->packed));
    const io::StoredTensor stored = io::parse_npy(member->packed);
    CHECK(stored.shape == array.shape);
    CHECK(io::numbers<float>(stored) == std::vector<float>(array.values.begin(), array.values.end()));
  }

  const io::TensorFile read = io::read_npz(folder / "a.npz");
  REQUIRE(read.tensors.size() == 3);
  REQUIRE(read.find("a loss") != nullptr);
  CHECK(io::numbers<float>(*read.find("r")) == six);

  io::write_npz(folder / "again.npz", arrays);
  CHECK(content(folder / "again.npz") == bytes);
  write(folder / "none.npz", {});
  CHECK(io::read_npz(folder / "none.npz").tensors.empty());
}

TEST_CASE("npz: what cannot be written leaves nothing", "[io][npz][hostile]") {
  const ScratchFolder folder;
  const auto path = folder / "a.npz";
  for (const char* name : {"", ".hidden", "a/b", "a\\b", "a\nb", "\xc3\xa4"})
    CHECK_THROWS_MATCHES(write(path, {{name, {6}, six}}), Error,
                         MessageMatches(ContainsSubstring("a.npz: ") && ContainsSubstring("is no name of an array")));
  CHECK_THROWS_MATCHES(write(path, {{std::string(256, 'a'), {6}, six}}), Error,
                       MessageMatches(ContainsSubstring("wanted 1 to 255 characters")));
  CHECK_THROWS_MATCHES(write(path, {{"a", {7}, six}}), Error,
                       MessageMatches(ContainsSubstring("a.npz: array 'a': 6 numbers for shape (7)")));
  CHECK_THROWS_MATCHES(write(path, {{"a", {6}, six}, {"b", {6}, six}, {"a", {6}, six}}), Error,
                       MessageMatches(ContainsSubstring("a.npz: array 'a' occurs twice")));

  const std::vector<float> large(std::size_t{1} << 24);  // 64 MiB, 64 times
  std::vector<io::NamedArray> arrays;
  for (int i = 0; i < 64; ++i) arrays.push_back({"a" + std::to_string(i), {1 << 24}, large});
  CHECK_THROWS_MATCHES(write(path, arrays), Error,
                       MessageMatches(ContainsSubstring("a.npz: 64 arrays of 42949") && ContainsSubstring("4 GiB")));
  arrays.clear();
  for (int i = 0; i < 65535; ++i) arrays.push_back({std::to_string(i), {0}, {}});
  CHECK_THROWS_MATCHES(write(path, arrays), Error, MessageMatches(ContainsSubstring("a.npz: 65535 arrays of")));
  {
    const SmallDisk disk(1024);
    CHECK_THROWS_MATCHES(write(path, {{"a", {1 << 10}, std::span(large).first(1 << 10)}}), Error,
                         MessageMatches(ContainsSubstring("a.npz: cannot be written (File too large)")));
  }
  CHECK(folder.size() == 0);
}

TEST_CASE("npz: archives that are none are refused", "[io][npz][hostile]") {
  const std::string array = tiny_npy();
  const auto refusal = [](const std::string& bytes) -> std::string {
    try {
      io::parse_npz(io::as_bytes(bytes));
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  CHECK(refusal(Zip{{{"a.npy", array}}}.bytes()) == "member 'a.npy' is damaged: wrong CRC");  // Zip writes 0
  CHECK(refusal(Zip{{{"a.txt", array}}}.bytes()) == "member 'a.txt' is no .npy file");
  CHECK(refusal(Zip{{{"a.npy", array, 8}}}.bytes()) ==
        "member 'a.npy' is compressed, wanted an archive of numpy.savez");
  CHECK(refusal(array).find("zip end record") != std::string::npos);

  const ScratchFolder folder;
  write(folder / "a.npz", {{"a", {6}, six}});
  std::string bytes = content(folder / "a.npz");
  bytes[bytes.find("'<f4'") + 2] = 'O';
  CHECK(refusal(bytes) == "member 'a.npy' is damaged: wrong CRC");
}
