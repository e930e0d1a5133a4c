#include <support/scratch_folder.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <cstdlib>
#include <fieldstep/io/curves.hpp>
#include <filesystem>
#include <fstream>
#include <string>

using namespace fieldstep::io;
using Catch::Matchers::ContainsSubstring;
using fieldstep::support::ScratchFolder;

namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

const Curves curves{
    .title = "it's; `touch hacked` $(touch hacked)\n!touch hacked",
    .axis = {"time [s]", {0, 1, 2}},
    .plots = {{"nRMSE", {{"u", {0.1, 0.2, 0.3}}, {"v'w", {0.2, 0.3, 0.4}}}}, {"max", {{"u", {1, 2, 3}}}}}};

/// While it lives, programs are looked for in another place.
struct OtherPath {
  explicit OtherPath(const char* path) { setenv("PATH", path, 1); }
  ~OtherPath() { setenv("PATH", before.c_str(), 1); }
  std::string before = std::getenv("PATH");
};

}  // namespace

TEST_CASE("write_curves: table and script are there without gnuplot", "[io][curves]") {
  const ScratchFolder folder;
  const OtherPath nowhere("/nonexistent");
  const CurveFiles files = write_curves(folder.path(), "errors", curves);
  CHECK(!files.drawn);
  CHECK_THAT(files.note, ContainsSubstring("gnuplot is not installed"));
  CHECK(content(files.table) == "time [s],nRMSE u,nRMSE v'w,max u\n0,0.1,0.2,1\n1,0.2,0.3,2\n2,0.3,0.4,3\n");
  CHECK_THAT(content(files.script), ContainsSubstring("picture = './errors.png'"));
  CHECK_THAT(content(files.script), ContainsSubstring("table using 1:4 skip 1"));
  CHECK(folder.size() == 2);
}

TEST_CASE("write_curves: a mark is a line from bottom to top in every plot", "[io][curves]") {
  const ScratchFolder folder;
  Curves marked = curves;
  marked.marks = {0.5, -1, 1.25, 2.5, NAN};  // the axis goes from 0 to 2
  const std::string plain = content(write_curves(folder.path(), "errors", curves).script);
  const CurveFiles files = write_curves(folder.path(), "errors", marked);
  const std::string lines =
      "set arrow from 0.5, graph 0 to 0.5, graph 1 nohead back linecolor rgb '#a0a0c8'\n"
      "set arrow from 1.25, graph 0 to 1.25, graph 1 nohead back linecolor rgb '#a0a0c8'\n";
  const std::string script = content(files.script);
  const std::size_t at = script.find(lines);
  REQUIRE(at < script.find("set multiplot"));                               // there it holds for all plots
  CHECK(plain == script.substr(0, at) + script.substr(at + lines.size()));  // and nothing else is changed
  CHECK(files.drawn == files.note.empty());
}

TEST_CASE("write_curves: gnuplot draws, and no text is taken for a command", "[io][curves]") {
  const ScratchFolder folder;
  const auto inner = folder / "o'u t";
  std::filesystem::create_directory(inner);
  const CurveFiles files = write_curves(inner, "it's `touch hacked`", curves);
  if (files.note.starts_with("gnuplot is not installed")) SKIP(files.note);
  CHECK(files.note.empty());
  REQUIRE(files.drawn);
  CHECK(content(files.picture).starts_with("\x89PNG"));
  CHECK(std::distance(std::filesystem::directory_iterator(inner), {}) == 3);  // table, script, picture
  CHECK(!std::filesystem::exists("hacked"));
}

TEST_CASE("write_curves: a gnuplot that fails leaves the picture that was there", "[io][curves][hostile]") {
  const ScratchFolder folder, programs;
  std::ofstream(folder / "errors.png") << "old";
  std::ofstream(programs / "gnuplot") << "#!/bin/sh\necho half a picture\n";
  std::filesystem::permissions(programs / "gnuplot", std::filesystem::perms::owner_all);
  const OtherPath path(programs.path().c_str());
  const CurveFiles files = write_curves(folder.path(), "errors", curves);
  CHECK(!files.drawn);
  CHECK_THAT(files.note, ContainsSubstring("gnuplot could not draw"));
  CHECK(content(folder / "errors.png") == "old");
  CHECK(folder.size() == 3);
}
