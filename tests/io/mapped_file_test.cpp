#include <fieldstep/io/mapped_file.hpp>
#include <support/scratch_folder.hpp>

#include <sys/mman.h>
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

using namespace fieldstep;

namespace {

/// Pages of the range that are in memory of this process or of the page cache.
std::size_t mapped_pages(io::Bytes bytes) {
  std::ifstream smaps("/proc/self/smaps");
  const auto wanted = reinterpret_cast<std::uintptr_t>(bytes.data());
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    std::uintptr_t first = 0, last = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &last) == 2) inside = first == wanted;
    std::size_t kib = 0;
    if (inside && std::sscanf(line.c_str(), "Rss: %zu kB", &kib) == 1) return kib / 4;
  }
  return 0;
}

}  // namespace

TEST_CASE("MappedFile: shows the file, moves, and gives memory back without losing the bytes", "[io][mapped_file]") {
  const support::ScratchFolder scratch;
  const std::string content(1 << 20, 'x');
  std::ofstream(scratch / "file") << content;
  io::MappedFile first(scratch / "file");
  io::MappedFile file = std::move(first);
  CHECK(first.bytes().empty());
  CHECK(io::as_text(file.bytes()) == content);
  CHECK(mapped_pages(file.bytes()) == 256);
  file.release(file.bytes().subspan(100, 200 * 4096));  // 199 whole pages
  CHECK(mapped_pages(file.bytes()) == 57);
  CHECK(io::as_text(file.bytes()) == content);
  file.release(io::as_bytes(content));  // not its own: left alone
}

TEST_CASE("MappedFile: an empty file is empty, a missing one is named", "[io][mapped_file]") {
  const support::ScratchFolder scratch;
  std::ofstream(scratch / "empty");
  CHECK(io::MappedFile(scratch / "empty").bytes().empty());
  CHECK_THROWS_AS(io::MappedFile(scratch / "absent"), Error);
  CHECK_THROWS_AS(io::MappedFile(scratch.path()), Error);
}
