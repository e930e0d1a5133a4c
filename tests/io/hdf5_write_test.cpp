#include <support/array_files.hpp>
#include <support/scratch_folder.hpp>
#include <support/small_disk.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fieldstep/io/hdf5.hpp>
#include <fieldstep/io/hdf5_write.hpp>
#include <string>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

void write(const std::filesystem::path& path, const std::vector<io::NamedArray>& arrays) {
  io::write_hdf5(path, arrays);
}

}  // namespace

TEST_CASE("write_hdf5: datasets of the root group, the same file every time", "[io][hdf5_write]") {
  const ScratchFolder folder;
  const std::vector<float> many(1'000'000, 0.5f);
  const std::array arrays{io::NamedArray{"r", {3, 2}, six}, io::NamedArray{"loss", {}, std::span(six).first(1)},
                          io::NamedArray{"empty", {0, 4}, {}}, io::NamedArray{"many", {10, 100'000}, many}};
  io::write_hdf5(folder / "a.h5", arrays);
  CHECK(folder.size() == 1);

  const io::Hdf5File file(folder / "a.h5");
  CHECK(file.names() == std::vector<std::string>{"empty", "loss", "many", "r"});
  for (const io::NamedArray& array : arrays) {
    const io::Hdf5Dataset dataset = file.dataset(array.name);
    CHECK(dataset.shape() == io::Hdf5Shape(array.shape.begin(), array.shape.end()));
    CHECK(dataset.read() == std::vector<float>(array.values.begin(), array.values.end()));
  }
  io::write_hdf5(folder / "again.h5", arrays);
  CHECK(content(folder / "again.h5") == content(folder / "a.h5"));
  write(folder / "none.h5", {});
  CHECK(io::Hdf5File(folder / "none.h5").names().empty());
}

TEST_CASE("write_hdf5: what cannot be written leaves what was there", "[io][hdf5_write][hostile]") {
  const ScratchFolder folder;
  const auto path = folder / "a.h5";
  write(path, {{"good", {6}, six}});
  CHECK_THROWS_MATCHES(write(path, {{"a/b", {6}, six}}), Error,
                       MessageMatches(ContainsSubstring("a.h5: 'a/b' is no name of an array")));
  CHECK_THROWS_MATCHES(write(path, {{"a", {2, 2}, six}}), Error,
                       MessageMatches(ContainsSubstring("a.h5: array 'a': 6 numbers for shape (2, 2)")));
  CHECK_THROWS_MATCHES(write(folder / "none" / "a.h5", {}), Error,
                       MessageMatches(ContainsSubstring("a.h5: cannot be created (No such file or directory)")));
  {
    const SmallDisk disk(4096);
    const std::vector<float> many(100'000, 1.0f);
    CHECK_THROWS_MATCHES(write(path, {{"many", {100'000}, many}}), Error,
                         MessageMatches(ContainsSubstring("a.h5: cannot be written (File too large)")));
  }
  CHECK(io::Hdf5File(path).dataset("good").read() == six);
  CHECK(folder.size() == 1);
}
