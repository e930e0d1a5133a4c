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
#include <set>
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

using Names = std::vector<std::string>;
using Groups = std::vector<std::size_t>;

/// Numbers 0, 1, 2, ... under the name and in the shape of a set, 2 x 3 points.
std::filesystem::path counted(const ScratchFolder& folder, const std::string& name, Hdf5Writer::Shape shape,
                              bool with_c = false) {
  static int files = 0;
  const std::filesystem::path path = folder / ("set" + std::to_string(++files) + ".nc");
  Hdf5Writer file(path);
  file.counted(name, shape);
  if (with_c) file.counted("c", {shape[0], 2, 3});
  return path;
}

std::string complaint(const std::filesystem::path& path, const std::string& problem) {
  try {
    const io::Dataset dataset = io::open_dataset(path, problem);
    dataset.read_input(0, 0);
    dataset.read_frames(0, 0, dataset.info().frames);
  } catch (const Error& error) {
    return error.what();
  }
  return "read without complaint";
}

}  // namespace

TEST_CASE("Poseidon: incompressible flow has density one, no pressure, and the published constants",
          "[io][poseidon][golden]") {
  const io::Dataset dataset = io::open_dataset(sample("poseidon/NS-PwC.nc"));  // the file's name tells the problem
  const io::DatasetInfo& info = dataset.info();
  CHECK(info.name == "Poseidon NS-PwC");
  CHECK(info.fields == Names{"rho", "u", "v", "p"});
  CHECK(info.groups == Groups{0, 1, 3, 4});
  CHECK(info.samples == 1);
  CHECK(info.frames == 21);
  CHECK(info.height == 128);
  CHECK(info.frames_per_unit == 20);
  CHECK(!info.steady);
  CHECK(info.inputs.empty());

  constexpr std::size_t points = 128 * 128;
  const std::vector<float> frames = dataset.read_frames(0, 20, 1);
  const std::vector<float> whole =
      io::Hdf5File(sample("poseidon/NS-PwC.nc")).dataset("velocity").read();  // (1, 21, 3, x, y)
  const std::vector<float> input = dataset.read_input(0, 20);
  REQUIRE(frames.size() == 4 * points);
  REQUIRE(input.size() == 4 * points);
  bool equal = true;
  for (std::size_t p = 0; p < points; ++p) {
    const float u = whole[20 * 3 * points + p], v = whole[(20 * 3 + 1) * points + p];
    equal &= frames[p] == 1 && frames[points + p] == u && frames[2 * points + p] == v && frames[3 * points + p] == 0;
    equal &= input[points + p] == u / .391f && input[2 * points + p] == v / .356f && input[3 * points + p] == 0;
  }
  CHECK(equal);
  CHECK_THAT(input[0], WithinAbs(.6451613, 1e-7));

  const io::DatasetInfo tracer = io::open_dataset(sample("poseidon/NS-PwC.nc"), "NS-PwC.tracer").info();
  CHECK(tracer.fields == Names{"rho", "u", "v", "p", "tracer"});
  CHECK(tracer.groups == Groups{0, 1, 3, 4, 5});
  const std::vector<float> five = io::open_dataset(sample("poseidon/NS-PwC.nc"), "NS-PwC.tracer").read_input(0, 20);
  CHECK(five[4 * points] == (whole[(20 * 3 + 2) * points] - .19586183f) / .37f);

  std::vector<float> forecast(2 * 4 * points, 5.0f);
  dataset.impose_known(0, forecast);
  CHECK(forecast[3 * points - 1] == 5);
  CHECK(forecast[3 * points] == 0);
  CHECK(forecast.back() == 0);
}

TEST_CASE("Poseidon: compressible flow loses its set's mean pressure first", "[io][poseidon]") {
  const ScratchFolder folder;
  const auto path = counted(folder, "data", {2, 3, 5, 2, 3});
  for (const auto& [problem, pressure] :
       {std::pair{"CE-Gauss", 2.513f}, {"CE-KH", 1.0f}, {"CE-RP", .215f}, {"CE-CRP", .553f}, {"CE-RPUI", 1.33f}}) {
    const io::Dataset dataset = io::open_dataset(path, problem);
    CHECK(dataset.info().fields == Names{"rho", "u", "v", "p"});
    CHECK(dataset.info().samples == 2);
    CHECK(dataset.info().width == 3);
    // sample 1, frame 2: (3 + 2) * 5 * 6 = 150; the fifth channel, energy, is not read
    const std::vector<float> frames = dataset.read_frames(1, 2, 1), input = dataset.read_input(1, 2);
    REQUIRE(frames.size() == 24);
    CHECK(frames.front() == 150);
    CHECK(frames.back() == 173);
    CHECK(input[0] == (150 - .80f) / .31f);
    CHECK(input[6] == 156 / .391f);
    CHECK(input[12] == 162 / .356f);
    CHECK(input[18] == (168 - pressure) / .185f);
    CHECK_THAT(dataset.info().normalisation[3].back(input[18]), WithinRel(168.0f, 1e-6f));
  }
}

TEST_CASE("Poseidon: every published set is known, with its own variable, channels and lead time", "[io][poseidon]") {
  struct Expected {
    const char *problem, *variable;
    Hdf5Writer::Shape shape;
    Names fields;
    int frames_per_unit;
    std::vector<double> zeros;  ///< what the network sees of zeros
  };
  const Hdf5Writer::Shape flow{1, 3, 3, 2, 3};
  const std::vector<Expected> sets{
      {"NS-Sines", "velocity", flow, {"rho", "u", "v", "p"}, 20, {.2 / .31, 0, 0, 0}},
      {"FNS-KF",
       "solution",
       {1, 3, 2, 2, 3},
       {"rho", "u", "v", "p", "g"},
       20,
       {.2 / .31, 2.2424793e-13 / .22017328, -4.1510376e-12 / .22078253, 0,
        1.2996679288335145e-09 / .0707106739282608}},
      {"CE-RM",
       "solution",
       {1, 3, 5, 2, 3},
       {"rho", "u", "v", "p"},
       20,
       {-1.1964245 / .5543239, 7.164812e-06 / .24304213, -2.8968952e-06 / .2430597, -1.5648036 / .89639103}},
      {"CE-RM.tracer",
       "solution",
       {1, 3, 5, 2, 3},
       {"rho", "u", "v", "p", "tracer"},
       20,
       {-1.1964245 / .5543239, 7.164812e-06 / .24304213, -2.8968952e-06 / .2430597, -1.5648036 / .89639103, 0}},
      {"GCE-RT",
       "solution",
       {1, 3, 6, 2, 3},
       {"rho", "u", "v", "p", "phi"},
       10,
       {-.8970493 / .12857835, -4.0316996e-13 / .014896976, 1.3858967e-13 / .014896975, -.7133829 / .21293919,
        1.7055787 / .40131348}},
      {"ACE", "solution", {1, 3, 2, 3}, {"u"}, 19, {-.002484262 / .65351176}},
      {"Wave-Layer",
       "solution",
       {1, 3, 2, 3},
       {"u", "c"},
       20,
       {-.03467443221585092 / .10442421752963911, -3498.5644380917424 / 647.843958567462}},
      {"Wave-Gauss",
       "solution",
       {1, 3, 2, 3},
       {"u", "c"},
       15,
       {-.0334376316 / .1171879068, -2618.4593933 / 601.51658913}},
  };
  for (const Expected& expected : sets) {
    INFO(expected.problem);
    const ScratchFolder folder;
    {
      Hdf5Writer file(folder / "zeros.nc");
      file.write(expected.variable, expected.shape, std::vector<float>(Hdf5Writer::size(expected.shape)));
      file.write("c", {1, 2, 3}, std::vector<float>(6));
    }
    const io::Dataset dataset = io::open_dataset(folder / "zeros.nc", expected.problem);
    CHECK(dataset.info().fields == expected.fields);
    CHECK(dataset.info().frames_per_unit == expected.frames_per_unit);
    CHECK(dataset.info().groups.back() == expected.fields.size());
    CHECK(dataset.info().normalisation.size() == expected.fields.size());
    const std::vector<float> input = dataset.read_input(0, 1);
    REQUIRE(input.size() == 6 * expected.fields.size());
    for (std::size_t c = 0; c < expected.fields.size(); ++c)
      CHECK_THAT(static_cast<double>(input[6 * c]), WithinAbs(expected.zeros[c], 2e-7 * std::abs(expected.zeros[c])));
  }
  CHECK(std::set<std::string_view>(io::poseidon_problem_names.begin(), io::poseidon_problem_names.end()).size() == 20);
  for (const std::string_view name : io::poseidon_problem_names) CHECK(io::poseidon_problem(name).name == name);
}

TEST_CASE("Poseidon: Kolmogorov's forcing is a channel, from nought to one with both ends", "[io][poseidon]") {
  const ScratchFolder folder;
  const io::Dataset dataset = io::open_dataset(counted(folder, "solution", {1, 3, 2, 2, 3}), "FNS-KF");
  const std::vector<float> frame = dataset.read_frames(0, 0, 1), input = dataset.read_input(0, 0);
  // x = 0, 1 and y = 0, 1/2, 1: sin(2 pi (x + y)) = 0 everywhere but for rounding
  for (std::size_t p = 24; p < 30; ++p) CHECK_THAT(frame[p], WithinAbs(0, 1e-8));
  CHECK_THAT(input[6], WithinRel((0 + 2.2424793e-13f) / .22017328f, 1e-6f));

  const io::Dataset fine = io::open_dataset(counted(folder, "solution", {1, 1, 2, 5, 5}), "FNS-KF");
  const std::vector<float> g = fine.read_input(0, 0);
  CHECK_THAT(g[4 * 25 + 1], WithinRel(.1f / .0707106739282608f, 1e-6f));       // y = 1/4
  CHECK_THAT(g[4 * 25 + 5 + 2], WithinRel(-.1f / .0707106739282608f, 1e-6f));  // x = 1/4, y = 1/2
}

TEST_CASE("Poseidon: the shear layer's fields are transposed, its components are not", "[io][poseidon]") {
  const ScratchFolder folder;
  const io::Dataset dataset = io::open_dataset(counted(folder, "velocity", {1, 2, 2, 2, 3}), "NS-SL");
  CHECK(dataset.info().height == 3);
  CHECK(dataset.info().width == 2);
  const std::vector<float> frame = dataset.read_frames(0, 1, 1);
  CHECK(std::vector<float>(frame.begin() + 6, frame.begin() + 18) ==
        std::vector<float>{12, 15, 13, 16, 14, 17, 18, 21, 19, 22, 20, 23});
}

TEST_CASE("Poseidon: coefficients stay the same at all times", "[io][poseidon]") {
  const ScratchFolder folder;
  const io::Dataset dataset = io::open_dataset(counted(folder, "solution", {2, 3, 2, 3}, true), "Wave-Layer");
  const std::vector<float> frames = dataset.read_frames(1, 1, 2);
  REQUIRE(frames.size() == 24);
  CHECK(frames[0] == 24);
  CHECK(frames[6] == 6);
  CHECK(frames[12] == 30);
  CHECK(frames[18] == 6);
}

TEST_CASE("Poseidon: steady problems have an input and a solution", "[io][poseidon][golden]") {
  SECTION("Poisson") {
    const io::Dataset dataset = io::open_dataset(sample("poseidon/Poisson-Gauss.nc"));
    CHECK(dataset.info().samples == 4);
    CHECK(dataset.info().frames == 1);
    CHECK(dataset.info().steady);
    CHECK(dataset.info().inputs == Names{"source"});
    const io::Hdf5File file(sample("poseidon/Poisson-Gauss.nc"));
    const std::size_t at = 2 * 128 * 128 + 77;
    CHECK(dataset.read_input(2, 0)[77] ==
          (file.dataset("source").read()[at] - .014822142414492256f) / 4.755138816607612f);
    CHECK(dataset.read_frames(2, 0, 1)[77] == file.dataset("solution").read()[at]);
  }
  SECTION("Helmholtz") {
    const io::Dataset dataset = io::open_dataset(sample("poseidon/Helmholtz.h5"));
    CHECK(dataset.info().samples == 2);
    CHECK(dataset.info().inputs == Names{"a", "bc"});
    const io::Hdf5File file(sample("poseidon/Helmholtz.h5"));
    const std::vector<float> input = dataset.read_input(1, 0);
    REQUIRE(input.size() == 2 * 128 * 128);
    CHECK(input[300] == file.dataset("Sample_1/a").read()[300] - 1);
    CHECK(input.back() == file.dataset("Sample_1/bc").read()[0]);
    CHECK(dataset.read_frames(1, 0, 1) == file.dataset("Sample_1/u").read());
  }
  SECTION("an airfoil: inside of it the density is known") {
    const ScratchFolder folder;
    Hdf5Writer(folder / "SE-AF.nc").write("solution", {1, 2, 1, 3}, {0, 1, 0, .5f, .6f, .7f});
    const io::Dataset dataset = io::open_dataset(folder / "SE-AF.nc");
    CHECK(dataset.read_input(0, 0) == std::vector<float>{0, 1, 0});
    const std::vector<float> density = dataset.read_frames(0, 0, 1);
    CHECK(density[0] == .5f);
    CHECK_THAT(density[1], WithinRel(.92984116f + .10864315f, 1e-6f));
    std::vector<float> forecast{4, 4, 4};
    dataset.impose_known(0, forecast);
    CHECK(forecast == std::vector<float>{4, density[1], 4});
  }
}

TEST_CASE("Poseidon: what does not fit the problem gets a sentence", "[io][poseidon][hostile]") {
  const ScratchFolder folder;
  CHECK_THAT(complaint(sample("poseidon/NS-PwC.nc"), "NS-Pwc"),
             ContainsSubstring("problem: found NS-Pwc, wanted one of NS-Sines"));
  CHECK_THAT(complaint(sample("poseidon/NS-PwC.nc"), "NS-SL.tracer"), ContainsSubstring("found NS-SL.tracer"));
  CHECK_THAT(complaint(sample("poseidon/NS-PwC.nc"), "CE-RP"), ContainsSubstring("no data in /"));
  CHECK_THAT(complaint(counted(folder, "data", {1, 2, 3, 2, 3}), "CE-RP"),
             ContainsSubstring("data has shape (1, 2, 3, 2, 3), wanted (samples, frames, at least 4 channels, x, y) "
                               "(Poseidon CE-RP)"));
  CHECK_THAT(complaint(counted(folder, "velocity", {1, 2, 2, 2, 3}), "NS-PwC.tracer"),
             ContainsSubstring("at least 3 channels"));
  CHECK_THAT(complaint(counted(folder, "velocity", {1, 2, 2, 3}), "NS-PwC"),
             ContainsSubstring("has shape (1, 2, 2, 3)"));
  CHECK_THAT(complaint(counted(folder, "velocity", {0, 2, 2, 2, 3}), "NS-PwC"), ContainsSubstring("holds no frames"));
  CHECK_THAT(complaint(counted(folder, "solution", {1, 3, 2, 4}, true), "Wave-Layer"),
             ContainsSubstring("c has shape (1, 2, 3), wanted (1, 2, 4)"));
  CHECK_THAT(complaint(counted(folder, "solution", {1, 3, 2, 3}), "Wave-Layer"), ContainsSubstring("no c in /"));
  Hdf5Writer(folder / "nan.nc").write("data", {1, 1, 4, 1, 2}, {1, 1, 1, NAN, 1, 1, 1, 1});
  CHECK_THAT(complaint(folder / "nan.nc", "CE-RP"), ContainsSubstring("u is nan in frame 0 of sample 0"));
  {
    Hdf5Writer file(folder / "Helmholtz.h5");
    file.counted("Sample_0/u", {2, 3});
    file.counted("Sample_0/a", {3, 2});
    file.counted("Sample_0/bc", {1});
  }
  CHECK_THAT(complaint(folder / "Helmholtz.h5", ""), ContainsSubstring("Sample_0/a has shape (3, 2), wanted (2, 3)"));
}
