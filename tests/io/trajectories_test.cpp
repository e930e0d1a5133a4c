#include <fieldstep/io/dataset/trajectories.hpp>
#include <support/hdf5_writer.hpp>
#include <support/scratch_folder.hpp>

#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <string>

using namespace fieldstep;
using namespace fieldstep::support;
using io::Trajectories;

namespace {

const std::string samples = FIELDSTEP_SAMPLE_DIR "/";

}  // namespace

TEST_CASE("Trajectories: several files become one list", "[io][trajectories]") {
  Trajectories all(Trajectories::Values::physical);
  all.add(io::open_dataset(samples + "pdebench/2D_rdb_NA_NA.h5"));
  all.add(io::open_dataset(samples + "pdebench/2D_rdb_NA_NA.h5"));
  REQUIRE(all.size() == 4);
  CHECK(all.bytes() == 4 * 21 * 128 * 128 * sizeof(float));
  const io::Dataset file = io::open_dataset(samples + "pdebench/2D_rdb_NA_NA.h5");
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(std::ranges::equal(all.frames(i, 3, 5), file.read_frames(i % 2, 3, 5)));
    CHECK(std::ranges::equal(all.input(i, 7), file.read_input(i % 2, 7)));
    CHECK(all.known(i).empty());
  }
}

TEST_CASE("Trajectories: what is kept in memory has the bits of what is read", "[io][trajectories]") {
  const ScratchFolder folder;
  {
    Hdf5Writer airfoil(folder / "SE-AF.nc");
    const Hdf5Writer::Shape shape{2, 2, 8, 8};
    std::vector<float> values(Hdf5Writer::size(shape));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 7 == 0);
    airfoil.write("solution", shape, values);
  }
  for (const std::string& path : {samples + "poseidon/NS-PwC.nc", samples + "poseidon/ACE.nc",
                                  samples + "poseidon/Helmholtz.h5", (folder / "SE-AF.nc").string()}) {
    Trajectories read(Trajectories::Values::normalised), kept(Trajectories::Values::normalised);
    read.add(io::open_dataset(path));
    kept.add(io::open_dataset(path));
    std::size_t calls = 0;
    kept.keep([&] { ++calls; });
    CHECK(calls == kept.size());
    for (std::size_t i = 0; i < read.size(); ++i) {
      const std::size_t last = read.info(i).frames - 1;
      CHECK(std::ranges::equal(read.frames(i, last, 1), kept.frames(i, last, 1)));
      CHECK(std::ranges::equal(read.frames(i, 0, last + 1), kept.frames(i, 0, last + 1)));
      CHECK(std::ranges::equal(read.input(i, 0), kept.input(i, 0)));
      CHECK(std::ranges::equal(read.known(i), kept.known(i)));
    }
  }
}

TEST_CASE("Trajectories: normalised as a forecast's input, known as the set says", "[io][trajectories]") {
  Trajectories flow(Trajectories::Values::normalised);
  flow.add(io::open_dataset(samples + "poseidon/NS-PwC.nc"));
  const io::Dataset file = io::open_dataset(samples + "poseidon/NS-PwC.nc");
  CHECK(std::ranges::equal(flow.frames(0, 4, 1), file.read_input(0, 4)));
  const auto known = flow.known(0);  // the pressure
  REQUIRE(known.size() == 4 * 128 * 128);
  for (std::size_t i = 0; i < known.size(); ++i)
    if (known[i] != (i >= 3 * 128 * 128 ? 1 : 0)) FAIL("point " << i);
  CHECK(flow.info(0).pair_step == 2);
}
