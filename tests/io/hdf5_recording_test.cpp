#include <support/hdf5_writer.hpp>
#include <support/scratch_folder.hpp>

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <fieldstep/io/hdf5_recording.hpp>
#include <fstream>
#include <string>
#include <tuple>
#include <vector>

using namespace fieldstep;
using fieldstep::support::Hdf5Writer;
using fieldstep::support::ScratchFolder;

namespace {

auto shape(const io::Recording& read) { return std::tuple(read.sequences, read.time, read.channels); }

/// Why a recording is refused, without the folder's name.
std::string refusal(const ScratchFolder& folder, const std::string& name) {
  std::string text = "accepted";
  try {
    io::read_any_recording(folder / name);
  } catch (const Error& error) {
    text = error.what();
  }
  const std::string prefix = folder.path().string() + "/";
  for (std::size_t at = text.find(prefix); at != text.npos; at = text.find(prefix)) text.erase(at, prefix.size());
  return text;
}

}  // namespace

TEST_CASE("read_any_recording: the only dataset that fits, and a named one", "[io][recording][hdf5]") {
  const ScratchFolder folder;
  const std::vector<float> six{0, 1, 2, 3, 4, 5};
  {
    Hdf5Writer file(folder / "one.h5");
    file.counted("time", {3});
    file.counted("grid/field", {2, 2, 2, 2});
    file.counted("spikes/counts", {3, 2}, H5T_STD_U16BE, {2, 2});
  }
  io::Recording read = io::read_any_recording(folder / "one.h5");
  CHECK(shape(read) == std::tuple(1, 3, 2));
  CHECK(read.values == six);
  CHECK(io::read_any_recording(folder / "one.h5:").values == six);
  CHECK(io::read_any_recording(folder / "one.h5:/spikes/counts").values == six);
  {
    Hdf5Writer file(folder / "two.hdf5");
    file.counted("a", {1, 3, 2}, H5T_IEEE_F64LE);
    file.counted("b:2", {2, 1, 3}, H5T_STD_I8LE);
  }
  CHECK(shape(io::read_any_recording(folder / "two.hdf5:a")) == std::tuple(1, 3, 2));
  CHECK(shape(io::read_any_recording(folder / "two.hdf5:b:2")) == std::tuple(2, 1, 3));
  std::ofstream(folder / "with.colon:1.csv") << "1,2\n";
  CHECK(shape(io::read_any_recording(folder / "with.colon:1.csv")) == std::tuple(1, 1, 2));
}

TEST_CASE("read_any_recording: what HDF5 files do not hold", "[io][recording][hdf5][hostile]") {
  const ScratchFolder folder;
  const std::string wanted = ", wanted (time, channels) or (sequences, time, channels), none of them empty";
  {
    Hdf5Writer file(folder / "a.h5");
    file.counted("x", {3, 2});
    file.counted("g/y", {2, 3, 2}, H5T_STD_I32LE);
    file.counted("line", {3});
    file.counted("empty", {0, 2});
    file.write("nan", {2, 2}, {1, 2, NAN, 4});
    const hid_t text = H5Tcopy(H5T_C_S1), plain = Hdf5Writer::chunked({});
    H5Tset_size(text, 4);
    H5Dclose(file.create("texts", {4, 2}, text, plain));
    H5Pclose(plain);
    H5Tclose(text);
  }
  CHECK(refusal(folder, "a.h5") ==
        "a.h5: which of its datasets, as in a.h5:empty? Found empty (0, 2), nan (2, 2), x (3, 2), g/y (2, 3, 2)");
  CHECK(refusal(folder, "a.h5:z") == "a.h5: no z in /, found empty, g, line, nan, texts, x");
  CHECK(refusal(folder, "a.h5:g") == "a.h5: g is a group, wanted a dataset");
  CHECK(refusal(folder, "a.h5:line") == "a.h5: line: holds an array of shape (3)" + wanted);
  CHECK(refusal(folder, "a.h5:empty") == "a.h5: empty: holds an array of shape (0, 2)" + wanted);
  CHECK(refusal(folder, "a.h5:texts") == "a.h5: texts does not hold numbers");
  CHECK(refusal(folder, "a.h5:nan") ==
        "a.h5: nan: sequence 0, time 1, channel 0 (counted from 0) is nan, wanted "
        "numbers that are finite in single precision");
  CHECK(refusal(folder, "none.h5:x") == "none.h5: no such file");
  CHECK(refusal(folder, "a.nc") == "a.nc: wanted a recording in .npy, .csv, .tsv, .txt or, with HDF5, .h5 or .hdf5");

  { Hdf5Writer(folder / "lines.h5").counted("line", {3}); }
  CHECK(refusal(folder, "lines.h5") ==
        "lines.h5: no dataset (time, channels) or (sequences, time, channels) of "
        "numbers, found line (3)");
  { Hdf5Writer(folder / "nothing.h5").group("g"); }
  CHECK(refusal(folder, "nothing.h5").ends_with("of numbers, found nothing"));
}

TEST_CASE("Hdf5File: lists what is stored in the file, links left out", "[io][hdf5][hostile]") {
  const ScratchFolder folder;
  { Hdf5Writer(folder / "secret.h5").counted("x", {4, 4}); }
  {
    Hdf5Writer file(folder / "a.h5");
    file.counted("g/x", {3, 2});
    H5Lcreate_external((folder / "secret.h5").c_str(), "/x", file.file(), "outside", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/g/x", file.file(), "soft", H5P_DEFAULT, H5P_DEFAULT);
  }
  const auto found = io::Hdf5File(folder / "a.h5").datasets();
  REQUIRE(found.size() == 1);
  CHECK(found[0].name == "g/x");
  CHECK(found[0].shape == io::Hdf5Shape{3, 2});
  CHECK(found[0].numeric);
  CHECK(io::read_any_recording(folder / "a.h5").time == 3);
  {
    Hdf5Writer file(folder / "loop.h5");
    file.counted("g/x", {3, 2});
    for (const char* again : {"g/a", "g/b"})
      H5Lcreate_hard(file.file(), "g", file.file(), again, H5P_DEFAULT, H5P_DEFAULT);
  }
  CHECK(refusal(folder, "loop.h5") == "loop.h5: more than 4096 groups and datasets to list");
  CHECK(io::read_any_recording(folder / "loop.h5:g/a/b/x").channels == 2);
}
