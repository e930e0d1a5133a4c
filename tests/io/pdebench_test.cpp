#include <support/hdf5_writer.hpp>
#include <support/samples.hpp>
#include <support/scratch_folder.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/dataset/dataset.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

using namespace fieldstep;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;
using fieldstep::support::Hdf5Writer;
using fieldstep::support::sample;
using fieldstep::support::ScratchFolder;

namespace {

std::string complaint(const std::filesystem::path& path) {
  try {
    const io::Dataset dataset = io::open_dataset(path);
    dataset.read_frames(0, 0, dataset.info().frames);
  } catch (const Error& error) {
    return error.what();
  }
  return "read without complaint";
}

}  // namespace

TEST_CASE("Hdf5Dataset: the samples hold what h5py reads from them", "[io][hdf5][golden]") {
  std::ifstream stream(sample("index.json"));
  const auto index = nlohmann::json::parse(stream);
  REQUIRE(index.size() == 10);
  for (const auto& [name, file] : index.items()) {
    const io::Hdf5File hdf5(sample(name));
    for (const auto& [path, wanted] : file.at("datasets").items()) {
      INFO(name << " " << path);
      const io::Hdf5Dataset dataset = hdf5.dataset(path);
      CHECK(dataset.shape() == wanted.at("shape").get<io::Hdf5Shape>());
      const std::vector<float> values = dataset.read();
      double sum = 0, squares = 0;
      for (const double v : values) sum += v, squares += v * v;
      const auto n = static_cast<double>(values.size());
      const double rms = wanted.at("rms").get<double>();
      CHECK_THAT(std::sqrt(squares / n), WithinAbs(rms, 1e-12 * rms));
      CHECK_THAT(sum / n, WithinAbs(wanted.at("mean").get<double>(), 1e-12 * rms));
      for (const auto& [at, value] : wanted.at("at").items()) CHECK(values.at(std::stoul(at)) == value.get<float>());
    }
  }
}

TEST_CASE("open_dataset: PDEBench's sets are told apart by their layout", "[io][pdebench]") {
  struct Expected {
    const char *file, *name;
    std::vector<std::string> fields;
    std::vector<int> labels;
    int boundary;
    std::size_t samples, frames;
    int side;
  };
  const Expected sets[] = {
      {"2D_rdb_NA_NA.h5", "PDEBench 2-D shallow water", {"h"}, {0}, 0, 2, 21, 128},
      {"2D_diff-react_NA_NA.h5", "PDEBench 2-D diffusion-reaction", {"activator", "inhibitor"}, {4, 5}, 0, 1, 21, 128},
      {"ns_incom_inhom_2d_64-18.h5",
       "PDEBench 2-D incompressible Navier-Stokes",
       {"Vx", "Vy", "particles"},
       {1, 2, 3},
       0,
       1,
       18,
       64},
      {"2D_CFD_Rand_M0.1_Eta1e-08_Zeta1e-08_periodic_128_Train.hdf5",
       "PDEBench 2-D compressible Navier-Stokes",
       {"Vx", "Vy", "density", "pressure"},
       {6, 7, 8, 9},
       1,
       1,
       21,
       128},
  };
  for (const Expected& expected : sets) {
    INFO(expected.file);
    const io::Dataset dataset = io::open_dataset(sample(std::string("pdebench/") + expected.file));
    const io::DatasetInfo& info = dataset.info();
    CHECK(info.name == expected.name);
    CHECK(info.fields == expected.fields);
    CHECK(info.units == std::vector<std::string>(expected.fields.size()));
    CHECK(info.labels == expected.labels);
    CHECK(info.boundaries == std::array{expected.boundary, expected.boundary});
    CHECK(info.samples == expected.samples);
    CHECK(info.frames == expected.frames);
    CHECK(info.height == expected.side);
    CHECK(info.width == expected.side);
    CHECK(info.times.size() == expected.frames);
  }
}

TEST_CASE("Dataset: axes of time and space", "[io][pdebench]") {
  const io::DatasetInfo swe = io::open_dataset(sample("pdebench/2D_rdb_NA_NA.h5")).info();
  CHECK_THAT(swe.time(0), WithinAbs(0, 0));
  CHECK_THAT(swe.time(20), WithinAbs(1, 1e-6));
  CHECK_THAT(swe.time(22), WithinAbs(1.1, 1e-6));  // beyond the file
  REQUIRE(swe.domain);
  CHECK_THAT(swe.domain->x0, WithinAbs(-2.5, 1e-6));
  CHECK_THAT(swe.domain->y0, WithinAbs(-2.5, 1e-6));
  CHECK_THAT(swe.domain->dx, WithinAbs(5.0 / 128, 1e-7));
  CHECK(!io::open_dataset(sample("pdebench/ns_incom_inhom_2d_64-18.h5")).info().domain);
  CHECK(io::DatasetInfo{}.time(3) == 3);
}

TEST_CASE("Dataset: frames come as (frames, fields, x, y) in MPP's order", "[io][pdebench]") {
  SECTION("channels last in one group a sample") {
    const auto path = sample("pdebench/2D_diff-react_NA_NA.h5");
    const std::vector<float> whole = io::Hdf5File(path).dataset("0000/data").read();  // (21, 128, 128, 2)
    const std::vector<float> frames = io::open_dataset(path).read_frames(0, 4, 3);
    REQUIRE(frames.size() == 3 * 2 * 128 * 128);
    bool equal = true;
    for (std::size_t t = 0; t < 3; ++t)
      for (std::size_t c = 0; c < 2; ++c)
        for (std::size_t p = 0; p < 128 * 128; ++p)
          equal &= frames[(t * 2 + c) * 128 * 128 + p] == whole[((t + 4) * 128 * 128 + p) * 2 + c];
    CHECK(equal);
  }
  SECTION("one dataset a field") {
    const auto path = sample("pdebench/2D_CFD_Rand_M0.1_Eta1e-08_Zeta1e-08_periodic_128_Train.hdf5");
    const io::Hdf5File file(path);
    const std::vector<float> frames = io::open_dataset(path).read_frames(0, 19, 2);
    std::size_t at = 0;
    for (std::size_t t = 19; t < 21; ++t)
      for (const char* field : {"Vx", "Vy", "density", "pressure"}) {
        const std::vector<float> whole = file.dataset(field).read();
        CHECK(std::equal(frames.begin() + static_cast<std::ptrdiff_t>(at),
                         frames.begin() + static_cast<std::ptrdiff_t>(at + 128 * 128),
                         whole.begin() + static_cast<std::ptrdiff_t>(t * 128 * 128)));
        at += 128 * 128;
      }
  }
  SECTION("several samples, oblong grid, several fields in one dataset") {
    const ScratchFolder folder;
    {
      Hdf5Writer file(folder / "ns.h5");
      file.counted("velocity", {3, 4, 2, 3, 2}, H5T_IEEE_F64BE, {1, 1, 2, 3, 2});
      file.counted("particles", {3, 4, 2, 3, 1});
    }
    const io::Dataset dataset = io::open_dataset(folder / "ns.h5");
    CHECK(dataset.info().height == 2);
    CHECK(dataset.info().width == 3);
    CHECK(dataset.info().times.empty());
    // sample 1, frame 2: velocity begins at (4 + 2) * 12 = 72, particles at (4 + 2) * 6 = 36
    CHECK(dataset.read_frames(1, 2, 1) ==
          std::vector<float>{72, 74, 76, 78, 80, 82, 73, 75, 77, 79, 81, 83, 36, 37, 38, 39, 40, 41});
  }
}

TEST_CASE("Dataset: requests beyond the file are the caller's fault", "[io][pdebench]") {
  const io::Dataset dataset = io::open_dataset(sample("pdebench/2D_rdb_NA_NA.h5"));
  const auto fault = [&](std::size_t s, std::size_t first, std::size_t count) {
    try {
      dataset.read_frames(s, first, count);
    } catch (const Error& error) {
      return error.fault();
    }
    return Fault::data;
  };
  CHECK(fault(2, 0, 1) == Fault::usage);
  CHECK(fault(0, 21, 1) == Fault::usage);
  CHECK(fault(0, 0, 22) == Fault::usage);
  CHECK(fault(0, std::size_t(-1), 2) == Fault::usage);
}

TEST_CASE("open_dataset: other sets and broken layouts are refused with a reason", "[io][pdebench][hostile]") {
  const ScratchFolder folder;
  const auto path = folder / "set.h5";
  const auto refused = [&](auto&& fill) {
    {
      Hdf5Writer file(path);
      fill(file);
    }
    return complaint(path);
  };
  using Shape = Hdf5Writer::Shape;
  const Shape cube{1, 5, 4, 4};

  CHECK_THAT(refused([](Hdf5Writer& f) {
               f.counted("u", {4});
               f.counted("v", {4});
             }),
             ContainsSubstring("holds u, v, wanted one of: PDEBench 2-D shallow water"));
  CHECK_THAT(refused([](Hdf5Writer&) {}), ContainsSubstring("holds nothing, wanted"));
  // one-dimensional, three-dimensional and steady sets
  CHECK_THAT(refused([](Hdf5Writer& f) { f.counted("tensor", {2, 5, 8}); }), ContainsSubstring("a 1-D set"));
  CHECK_THAT(refused([](Hdf5Writer& f) { f.counted("0000/data", {5, 8, 1}); }), ContainsSubstring("a 1-D set"));
  CHECK_THAT(refused([](Hdf5Writer& f) {
               for (auto n : {"Vx", "density", "pressure"}) f.counted(n, {1, 5, 8});
             }),
             ContainsSubstring("a 1-D set"));
  CHECK_THAT(refused([](Hdf5Writer& f) {
               for (auto n : {"Vx", "Vy", "Vz", "density", "pressure"}) f.counted(n, {1, 2, 3, 3, 3});
             }),
             ContainsSubstring("a 3-D set"));
  CHECK_THAT(refused([](Hdf5Writer& f) { f.counted("tensor", {2, 1, 8, 8}); }), ContainsSubstring("no time series"));
  // wrong shapes
  CHECK_THAT(refused([](Hdf5Writer& f) {
               f.counted("0000/data", {1, 5, 4, 4, 1});
             }),
             ContainsSubstring("0000/data has shape (1, 5, 4, 4, 1), wanted (frames, x, y, 1)"));
  CHECK_THAT(refused([](Hdf5Writer& f) {
               f.counted("0000/data", {5, 4, 4, 3});
             }),
             ContainsSubstring("has shape (5, 4, 4, 3)"));
  CHECK_THAT(refused([&](Hdf5Writer& f) {
               for (auto n : {"Vx", "Vy", "pressure"}) f.counted(n, cube);
               f.counted("density", {1, 5, 4, 8});
             }),
             ContainsSubstring("density has shape (1, 5, 4, 8), wanted (1, 5, 4, 4)"));
  CHECK_THAT(refused([](Hdf5Writer& f) {
               f.counted("velocity", {1, 5, 4, 4, 2});
               f.counted("particles", {1, 4, 4, 4, 1});
             }),
             ContainsSubstring("particles has shape (1, 4, 4, 4, 1), wanted (1, 5, 4, 4, 1)"));
  CHECK_THAT(refused([](Hdf5Writer& f) {
               f.counted("velocity", {5, 4, 4, 2});
               f.counted("particles", {5, 4, 4, 1});
             }),
             ContainsSubstring("velocity has shape (5, 4, 4, 2), wanted (samples, frames, x, y, 2)"));
  // missing, wrong kind, empty
  CHECK_THAT(refused([](Hdf5Writer& f) { f.counted("0000", {4}); }),
             ContainsSubstring("0000 is a dataset, wanted a group"));
  CHECK_THAT(refused([](Hdf5Writer& f) { f.counted("0000/other", {4}); }),
             ContainsSubstring("no data in /0000, found other"));
  CHECK_THAT(refused([&](Hdf5Writer& f) {
               for (auto n : {"Vx", "Vy", "density", "pressure"}) f.counted(n, cube, H5T_STD_I16LE);
             }),
             ContainsSubstring("floating-point"));
  CHECK_THAT(refused([](Hdf5Writer& f) {
               for (auto n : {"Vx", "Vy", "density", "pressure"}) f.counted(n, {0, 5, 4, 4});
             }),
             ContainsSubstring("holds no frames"));
  CHECK_THAT(refused([](Hdf5Writer& f) {
               f.counted("0000/data", {0, 4, 4, 1});
             }),
             ContainsSubstring("holds no frames"));
  // the second sample has another size
  {
    Hdf5Writer file(path);
    file.counted("0000/data", {5, 4, 4, 1});
    file.counted("0001/data", {5, 4, 8, 1});
  }
  const io::Dataset dataset = io::open_dataset(path);
  CHECK(dataset.read_frames(0, 1, 1).front() == 16);
  CHECK_THROWS_AS(dataset.read_frames(1, 0, 1), Error);
}

TEST_CASE("Dataset: values that are not finite are refused unless allowed", "[io][pdebench][hostile]") {
  const ScratchFolder folder;
  std::vector<float> values(3 * 4 * 4 * 2, 1.0f);
  values[(1 * 16 + 5) * 2 + 1] = NAN;
  Hdf5Writer(folder / "nan.h5").write("0000/data", {3, 4, 4, 2}, values);
  const io::Dataset dataset = io::open_dataset(folder / "nan.h5");
  CHECK(dataset.read_frames(0, 0, 1).size() == 32);
  CHECK_THAT(complaint(folder / "nan.h5"), ContainsSubstring("inhibitor is nan in frame 1 of sample 0"));
  CHECK(std::isnan(dataset.read_frames(0, 1, 1, io::NonFinite::allow)[16 + 5]));
}
