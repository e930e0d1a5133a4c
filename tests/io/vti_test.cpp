#include <support/scratch_folder.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <cstring>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/vti.hpp>
#include <fstream>
#include <string>
#include <vector>

using namespace fieldstep;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// The values of an appended block at this offset behind the underscore.
std::vector<float> appended(const std::string& file, std::size_t offset) {
  const std::string marker = "<AppendedData encoding=\"raw\">\n   _";
  const char* block = file.data() + file.find(marker) + marker.size() + offset;
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, block, sizeof bytes);
  std::vector<float> values(bytes / sizeof(float));
  std::memcpy(values.data(), block + sizeof bytes, bytes);
  return values;
}

}  // namespace

TEST_CASE("write_vti: cells with x fastest, vectors of three, names escaped", "[io][vti]") {
  const support::ScratchFolder folder;
  const std::vector<float> u{0, 1, 2, 3, 4, 5}, v{10, 11, 12, 13, 14, NAN};  // (x 2, y 3)
  const io::VtiFrame frame{.height = 2,
                           .width = 3,
                           .x0 = -2.5,
                           .y0 = 0.1,
                           .dx = 0.5,
                           .dy = 0.25,
                           .time = 0.75,
                           .arrays = {{"a<b>&\"c\"", {u}}, {"velocity", {u, v}}}};
  io::write_vti(folder / "f.vti", frame);
  const std::string file = content(folder / "f.vti");
  CHECK_THAT(file,
             ContainsSubstring(
                 "<VTKFile type=\"ImageData\" version=\"1.0\" byte_order=\"LittleEndian\" header_type=\"UInt64\">"));
  CHECK_THAT(file,
             ContainsSubstring("<ImageData WholeExtent=\"0 2 0 3 0 0\" Origin=\"-2.5 0.1 0\" Spacing=\"0.5 0.25 1\">"));
  CHECK_THAT(file, ContainsSubstring("format=\"ascii\">0.75</DataArray>"));
  CHECK_THAT(file, ContainsSubstring("<CellData Scalars=\"a&lt;b&gt;&amp;&quot;c&quot;\" Vectors=\"velocity\">"));
  CHECK_THAT(file, ContainsSubstring("Name=\"velocity\" NumberOfComponents=\"3\" format=\"appended\" offset=\"32\"/>"));
  CHECK(appended(file, 0) == std::vector<float>{0, 3, 1, 4, 2, 5});
  const std::vector<float> vectors = appended(file, 32);
  REQUIRE(vectors.size() == 18);
  CHECK(std::vector<float>(vectors.begin(), vectors.begin() + 6) == std::vector<float>{0, 10, 0, 3, 13, 0});
  CHECK(std::isnan(vectors[16]));
  CHECK(file.ends_with("</AppendedData>\n</VTKFile>\n"));
}

TEST_CASE("write_vti: arrays that do not fit the grid are refused", "[io][vti]") {
  const support::ScratchFolder folder;
  const std::vector<float> u(6);
  const std::vector<std::span<const float>> none, four(4, u);
  const auto write = [&](int width, std::vector<std::span<const float>> components) {
    io::write_vti(folder / "f.vti", {.height = 2,
                                     .width = width,
                                     .x0 = 0,
                                     .y0 = 0,
                                     .dx = 1,
                                     .dy = 1,
                                     .time = 0,
                                     .arrays = {{"u", std::move(components)}}});
  };
  CHECK_THROWS_AS(write(4, {u}), Error);
  CHECK_THROWS_AS(write(3, none), Error);
  CHECK_THROWS_AS(write(3, four), Error);
  CHECK(folder.size() == 0);
}

TEST_CASE("write_pvd: a line a frame", "[io][vti]") {
  const support::ScratchFolder folder;
  const std::array<io::PvdEntry, 2> entries{io::PvdEntry{0.1, "f_0001.vti"}, io::PvdEntry{0.2, "f&2.vti"}};
  io::write_pvd(folder / "f.pvd", entries);
  const std::string file = content(folder / "f.pvd");
  CHECK_THAT(file, ContainsSubstring("<DataSet timestep=\"0.1\" part=\"0\" file=\"f_0001.vti\"/>"));
  CHECK_THAT(file, ContainsSubstring("<DataSet timestep=\"0.2\" part=\"0\" file=\"f&amp;2.vti\"/>"));
}
