#include <sys/stat.h>
#include <support/hdf5_writer.hpp>
#include <support/scratch_folder.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstring>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/hdf5.hpp>
#include <fstream>
#include <string>
#include <vector>

using namespace fieldstep;
using fieldstep::support::Hdf5Writer;
using fieldstep::support::ScratchFolder;
using io::Hdf5File;

namespace {

/// What reading the whole dataset says against it.
std::string complaint(const std::filesystem::path& path, const std::string& dataset) {
  try {
    Hdf5File(path).dataset(dataset).read();
  } catch (const Error& error) {
    return error.what();
  }
  return "read without complaint";
}

using Catch::Matchers::ContainsSubstring;

}  // namespace

TEST_CASE("Hdf5Dataset: every float type reads as float", "[io][hdf5]") {
  const ScratchFolder folder;
  const auto path = folder / "types.h5";
  const std::array types{H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_IEEE_F64BE};
  const hid_t half = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(half, 15, 10, 5, 0, 10);
  H5Tset_ebias(half, 15);
  H5Tset_size(half, 2);
  {
    Hdf5Writer file(path);
    for (std::size_t i = 0; i < types.size(); ++i) {
      file.counted("plain" + std::to_string(i), {3, 4}, types[i]);
      file.counted("chunked" + std::to_string(i), {3, 4}, types[i], {2, 3});
    }
    file.counted("half", {3, 4}, half, {1, 4});
  }
  H5Tclose(half);
  const Hdf5File file(path);
  const std::vector<float> wanted{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  for (std::size_t i = 0; i < types.size(); ++i) {
    CHECK(file.dataset("plain" + std::to_string(i)).read() == wanted);
    CHECK(file.dataset("chunked" + std::to_string(i)).read() == wanted);
  }
  CHECK(file.dataset("half").read() == wanted);
}

TEST_CASE("Hdf5Dataset: blocks across chunks, packed in every way", "[io][hdf5]") {
  const ScratchFolder folder;
  const auto path = folder / "blocks.h5";
  const Hdf5Writer::Shape shape{5, 6, 7};
  {
    Hdf5Writer file(path);
    file.counted("contiguous", shape);
    for (const int packing : {0, 1, 2, 3}) {
      const hid_t plist = Hdf5Writer::chunked({2, 4, 3});
      if (packing & 1) H5Pset_shuffle(plist);
      if (packing & 2) H5Pset_deflate(plist, 4);
      std::vector<float> values(Hdf5Writer::size(shape));
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
      const hid_t dataset = file.create("packing" + std::to_string(packing), shape, H5T_IEEE_F32LE, plist);
      H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
      H5Dclose(dataset);
      H5Pclose(plist);
    }
  }
  const Hdf5File file(path);
  const io::Hdf5Shape offset{1, 2, 2}, count{3, 4, 5};
  std::vector<float> wanted;
  for (std::size_t i = 1; i < 4; ++i)
    for (std::size_t j = 2; j < 6; ++j)
      for (std::size_t k = 2; k < 7; ++k) wanted.push_back(static_cast<float>((i * 6 + j) * 7 + k));
  for (const char* name : {"contiguous", "packing0", "packing1", "packing2", "packing3"}) {
    INFO(name);
    CHECK(file.dataset(name).read(offset, count) == wanted);
    CHECK_THROWS_AS(file.dataset(name).read(offset, io::Hdf5Shape{3, 5, 5}), Error);
    CHECK_THROWS_AS(file.dataset(name).read(offset, io::Hdf5Shape{3, 4}), Error);
  }
}

TEST_CASE("Hdf5File: attributes, texts of both kinds", "[io][hdf5]") {
  const ScratchFolder folder;
  const auto path = folder / "attributes.h5";
  {
    Hdf5Writer file(path);
    const hid_t scalar = H5Screate(H5S_SCALAR), text = H5Tcopy(H5T_C_S1), fixed = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, H5T_VARIABLE);
    H5Tset_size(fixed, 8);
    const char* value = "steps: 21";
    const double eta = 0.25;
    const auto put = [&](const char* name, hid_t type, const void* data) {
      const hid_t attribute = H5Acreate2(file.file(), name, type, scalar, H5P_DEFAULT, H5P_DEFAULT);
      H5Awrite(attribute, type, data);
      H5Aclose(attribute);
    };
    put("config", text, &value);
    put("fixed", fixed, "abc\0\0\0\0");
    put("eta", H5T_NATIVE_DOUBLE, &eta);
    H5Tclose(text);
    H5Tclose(fixed);
    H5Sclose(scalar);
  }
  const Hdf5File file(path);
  CHECK(file.text_attribute("/", "config") == "steps: 21");
  CHECK(file.text_attribute("/", "fixed") == "abc");
  CHECK(file.number_attribute("/", "eta") == 0.25);
  CHECK(file.number_attribute("/", "config") == std::nullopt);
  CHECK(file.text_attribute("/", "nothing") == std::nullopt);
}

TEST_CASE("Hdf5File: what is no HDF5 file is refused", "[io][hdf5][hostile]") {
  const ScratchFolder folder;
  const auto path = folder / "file.h5";
  Hdf5Writer(path).counted("x", {64});
  std::ifstream in(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  for (const std::size_t length : {0ul, 1ul, 7ul, 8ul, 64ul, whole.size() / 2, whole.size() - 1}) {
    std::ofstream(folder / "cut.h5", std::ios::binary) << whole.substr(0, length);
    CHECK_THAT(complaint(folder / "cut.h5", "x"), ContainsSubstring("cut.h5: cannot be read as HDF5"));
  }
  CHECK_THAT(complaint(folder / "none.h5", "x"), ContainsSubstring("no such file"));
  CHECK_THAT(complaint(folder.path(), "x"), ContainsSubstring("not a regular file"));
  REQUIRE(mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK_THAT(complaint(folder / "fifo", "x"), ContainsSubstring("not a regular file"));
}

TEST_CASE("Hdf5File: names that lead nowhere or elsewhere are refused", "[io][hdf5][hostile]") {
  const ScratchFolder folder;
  const auto path = folder / "links.h5", secret = folder / "secret.h5";
  Hdf5Writer(secret).counted("x", {4});
  {
    Hdf5Writer file(path);
    file.counted("group/x", {4});
    H5Lcreate_external(secret.c_str(), "/x", file.file(), "outside", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/loop", file.file(), "loop", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/outside", file.file(), "soft", H5P_DEFAULT, H5P_DEFAULT);
    const hid_t external = H5Pcreate(H5P_DATASET_CREATE), virtual_set = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(external, secret.c_str(), 0, 16);
    H5Dclose(file.create("stored_outside", {4}, H5T_IEEE_F32LE, external));
    const hsize_t four = 4;
    const hid_t space = H5Screate_simple(1, &four, nullptr);
    H5Pset_virtual(virtual_set, space, secret.c_str(), "/x", space);
    H5Dclose(file.create("virtual", {4}, H5T_IEEE_F32LE, virtual_set));
    H5Sclose(space);
    H5Pclose(external);
    H5Pclose(virtual_set);
  }
  CHECK_THAT(complaint(path, "y"),
             ContainsSubstring("no y in /, found group, loop, outside, soft, stored_outside, virtual"));
  CHECK_THAT(complaint(path, "group/y"), ContainsSubstring("no y in /group, found x"));
  CHECK_THAT(complaint(path, "group"), ContainsSubstring("is a group, wanted a dataset"));
  CHECK_THAT(complaint(path, "group/x/y"), ContainsSubstring("group/x is a dataset, wanted a group"));
  for (const char* link : {"outside", "loop", "soft", "soft/x"})
    CHECK_THAT(complaint(path, link), ContainsSubstring("is a link to another place"));
  CHECK_THAT(complaint(path, "stored_outside"), ContainsSubstring("is stored in another file"));
  CHECK_THAT(complaint(path, "virtual"), ContainsSubstring("is a virtual dataset"));
  const Hdf5File file(path);
  CHECK(file.contains("group/x"));
  CHECK(!file.contains("group/y"));
  CHECK(!file.contains("group/x/y"));
}

TEST_CASE("Hdf5Dataset: types and sizes that cannot be are refused", "[io][hdf5][hostile]") {
  const ScratchFolder folder;
  const auto path = folder / "sizes.h5";
  constexpr hsize_t tera = hsize_t{1} << 40;
  {
    Hdf5Writer file(path);
    file.counted("integers", {4}, H5T_STD_I32LE);
    const hid_t text = H5Tcopy(H5T_C_S1), plain = Hdf5Writer::chunked({}), chunked = Hdf5Writer::chunked({1024});
    H5Tset_size(text, 4);
    H5Dclose(file.create("texts", {4}, text, plain));
    H5Dclose(file.create("huge", {tera}, H5T_IEEE_F32LE, chunked));
    H5Dclose(file.create("larger", {tera, tera}, H5T_IEEE_F32LE, plain));
    H5Dclose(file.create("empty", {100}, H5T_IEEE_F32LE, plain));
    H5Dclose(file.create("empty_chunks", {100'000}, H5T_IEEE_F32LE, chunked));
    H5Dclose(file.create("ranks", {1, 1, 1, 1, 1, 1, 1, 1, 1}, H5T_IEEE_F32LE, plain));
    const hid_t large_chunks = Hdf5Writer::chunked({hsize_t{1} << 26});
    H5Dclose(file.create("large_chunks", {hsize_t{1} << 26}, H5T_IEEE_F32LE, large_chunks));

    const hid_t half = file.create("half", {4096}, H5T_IEEE_F32LE, chunked);  // the first of four chunks
    const std::vector<float> values(1024, 1);
    const hsize_t zero = 0;
    H5Dwrite_chunk(half, H5P_DEFAULT, 0, &zero, values.size() * sizeof(float), values.data());
    H5Dclose(half);
    H5Tclose(text);
    for (const hid_t plist : {plain, chunked, large_chunks}) H5Pclose(plist);
  }
  CHECK_THAT(complaint(path, "integers"), ContainsSubstring("does not hold floating-point numbers"));
  CHECK_THAT(complaint(path, "texts"), ContainsSubstring("does not hold floating-point numbers"));
  CHECK_THAT(complaint(path, "huge"), ContainsSubstring("more than the limit of 65536 MiB"));
  CHECK_THAT(complaint(path, "larger"), ContainsSubstring("more than the limit"));
  CHECK_THAT(complaint(path, "empty"), ContainsSubstring("declares shape (100) but stores no values"));
  CHECK_THAT(complaint(path, "empty_chunks"), ContainsSubstring("but stores no values"));
  CHECK_THAT(complaint(path, "ranks"), ContainsSubstring("9 axes, wanted at most 8"));
  CHECK_THAT(complaint(path, "large_chunks"), ContainsSubstring("stores no values"));
  CHECK_THAT(complaint(path, "half"), ContainsSubstring("half does not store the chunk at (1024)"));
  const std::array<hsize_t, 1> offset{100}, count{10};
  CHECK(Hdf5File(path).dataset("half").read(offset, count) == std::vector<float>(10, 1));
  CHECK_THROWS_AS(Hdf5File(path, 1000).dataset("half"), Error);
}

TEST_CASE("Hdf5Dataset: chunks that do not unpack to their size are refused", "[io][hdf5][hostile]") {
  const ScratchFolder folder;
  const auto path = folder / "chunks.h5";
  const auto put = [](hid_t dataset, const std::string& bytes, std::uint32_t mask = 0) {
    const hsize_t zero = 0;
    H5Dwrite_chunk(dataset, H5P_DEFAULT, mask, &zero, bytes.size(), bytes.data());
    H5Dclose(dataset);
  };
  {
    Hdf5Writer file(path);
    const hid_t lzf = Hdf5Writer::chunked({8}), deflate = Hdf5Writer::chunked({8}), unknown = Hdf5Writer::chunked({8});
    const unsigned parameters[]{4, 261, 32};
    H5Pset_filter(lzf, 32000, H5Z_FLAG_OPTIONAL, 3, parameters);
    H5Pset_deflate(deflate, 4);
    H5Pset_filter(unknown, 307, H5Z_FLAG_OPTIONAL, 0, nullptr);  // bzip2
    const std::string zeros("\x00\x00\xe0\x16\x00", 5);          // one literal and 31 copies of it
    put(file.create("sound", {8}, H5T_IEEE_F32LE, lzf), zeros);
    put(file.create("skipped", {8}, H5T_IEEE_F32LE, lzf), std::string(32, '\0'), 1);
    put(file.create("before_start", {8}, H5T_IEEE_F32LE, lzf), std::string("\x00\x00\xe0\x16\x05", 5));
    put(file.create("long", {8}, H5T_IEEE_F32LE, lzf), std::string("\x00\x00\xe0\x17\x00", 5));
    put(file.create("short", {8}, H5T_IEEE_F32LE, lzf), std::string("\x00\x00\xe0\x15\x00", 5));
    put(file.create("deflate", {8}, H5T_IEEE_F32LE, deflate), "no zlib stream");
    put(file.create("raw_short", {8}, H5T_IEEE_F32LE, deflate), std::string(31, '\0'), 1);
    put(file.create("unknown", {8}, H5T_IEEE_F32LE, unknown), std::string(32, '\0'));
    const hid_t huge = Hdf5Writer::chunked({hsize_t{1} << 28});  // a gibibyte, packed or not
    H5Pset_deflate(huge, 9);
    put(file.create("bomb", {hsize_t{1} << 28}, H5T_IEEE_F32LE, huge), std::string(1000, '\0'));
    for (const hid_t plist : {lzf, deflate, unknown, huge}) H5Pclose(plist);
  }
  CHECK(Hdf5File(path).dataset("sound").read() == std::vector<float>(8, 0));
  CHECK(Hdf5File(path).dataset("skipped").read() == std::vector<float>(8, 0));
  for (const char* name : {"before_start", "long", "short", "deflate", "raw_short"})
    CHECK_THAT(complaint(path, name),
               ContainsSubstring(std::string(name) + ": the chunk at (0) does not unpack to 32 bytes"));
  CHECK_THAT(complaint(path, "bomb"), ContainsSubstring("too large for a file of"));
  CHECK_THAT(complaint(path, "unknown"), ContainsSubstring("filter 307"));
}
