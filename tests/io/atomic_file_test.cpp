#include <support/scratch_folder.hpp>
#include <support/small_disk.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/atomic_file.hpp>
#include <filesystem>
#include <fstream>
#include <string>

using namespace fieldstep;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using fieldstep::support::ScratchFolder;
using fieldstep::support::SmallDisk;

namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

TEST_CASE("AtomicFile: appears when committed and not before", "[io][atomic_file]") {
  const ScratchFolder folder;
  const auto path = folder / "file.txt";
  {
    io::AtomicFile file(path);
    file.write("new");
    CHECK(!std::filesystem::exists(path));
    file.commit();
  }
  CHECK(content(path) == "new");
  {
    io::AtomicFile dropped(path);
    dropped.write("half");
  }
  CHECK(content(path) == "new");
  io::write_text(path, "newer");
  CHECK(content(path) == "newer");
  CHECK(folder.size() == 1);
}

TEST_CASE("AtomicFile: a full disk leaves what was there", "[io][atomic_file][hostile]") {
  const ScratchFolder folder;
  const auto path = folder / "file.txt";
  io::write_text(path, "good");
  {
    const SmallDisk disk(4096);
    CHECK_THROWS_MATCHES(io::write_text(path, std::string(100'000, 'x')), Error,
                         MessageMatches(ContainsSubstring("file.txt: cannot be written (File too large)")));
    CHECK_THROWS_AS(io::write_text(folder / "other.txt", std::string(5000, 'x')), Error);
  }
  CHECK(content(path) == "good");
  CHECK(folder.size() == 1);
}

TEST_CASE("AtomicFile: places that cannot hold a file are refused", "[io][atomic_file][hostile]") {
  const ScratchFolder folder;
  CHECK_THROWS_MATCHES(io::write_text(folder / "none" / "file", ""), Error,
                       MessageMatches(ContainsSubstring("cannot be created (No such file or directory)")));
  CHECK_THROWS_MATCHES(io::write_text(folder.path(), ""), Error,
                       MessageMatches(ContainsSubstring("not a regular file")));
  CHECK_THROWS_MATCHES(io::write_text("/dev/full", ""), Error, MessageMatches(ContainsSubstring("not a regular file")));
  CHECK(folder.size() == 0);
}
