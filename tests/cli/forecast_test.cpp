#include <fieldstep/core/init.hpp>
#include <fieldstep/io/npy.hpp>
#include <fieldstep/io/weights.hpp>
#include <fieldstep/models/avit.hpp>
#include <support/hdf5_writer.hpp>
#include <support/program.hpp>
#include <support/samples.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <limits>
#include <nlohmann/json.hpp>

using Catch::Matchers::ContainsSubstring;
using namespace fieldstep;
using namespace fieldstep::support;

namespace {

namespace fs = std::filesystem;

const std::string samples = sample("pdebench/");
const std::string weights = FIELDSTEP_GOLDEN_DIR "/mpp/ckpt_micro.tar";
const std::string shallow_water = samples + "2D_rdb_NA_NA.h5";

Ended forecast(const std::string& data, const std::string& output, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{"forecast", "--weights", weights, "--data", data, "--output", output};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_fieldstep(arguments);
}

/// A network that is not compiled into the program.
struct Other : models::AvitDefaults {
  static constexpr int embed_dim = 48, heads = 3, blocks = 2;
};
using Net = models::AViT<Other, Grid<4, 128, 128, 1>>;

/// Shallow water of any size.
void write_shallow_water(const fs::path& path, hsize_t frames, hsize_t height, hsize_t width, float value) {
  Hdf5Writer file(path);
  const Hdf5Writer::Shape shape{frames, height, width, 1};
  std::vector<float> values(Hdf5Writer::size(shape), 1.0f);
  values.back() = value;
  file.write("0000/data", shape, values);
}

}  // namespace

TEST_CASE("forecast: every set of PDEBench that has samples goes through", "[cli][forecast]") {
  const ScratchFolder scratch;
  for (const char* file : {"2D_rdb_NA_NA.h5", "2D_diff-react_NA_NA.h5", "ns_incom_inhom_2d_128-21.h5",
                           "2D_CFD_Rand_M0.1_Eta1e-08_Zeta1e-08_periodic_128_Train.hdf5"}) {
    const fs::path output = scratch / "result";
    const Ended ended = forecast(samples + file, output, {"--steps", "2", "--json"});
    REQUIRE(ended.code == 0);
    const auto about = nlohmann::json::parse(ended.out);
    CHECK(about.at("model") == "avit-micro");
    CHECK(about.at("labels").size() == about.at("fields").size());
    CHECK(about.at("step_s").size() == 2);
    CHECK(about.at("errors").size() == 2 * about.at("fields").size());
    CHECK(about.at("pictures").size() == 2);
    for (const std::string name : {"step_001.png", "step_002.png", "errors.csv", "forecast.npy", "forecast.pvd",
                                   "paraview/step_002.vti", "forecast.json"})
      CHECK(fs::file_size(output / name) > 0);
    const io::TensorFile npy = io::read_npy(output / "forecast.npy");
    CHECK(npy.tensors[0].shape[0] == 2);
    CHECK(npy.tensors[0].shape[2] == 128);
    CHECK(scratch.size() == 1);  // replaced each time, nothing beside it
  }
}

#ifdef KOKKOS_ENABLE_OPENMP
TEST_CASE("forecast: one thread and two give the same bits", "[cli][forecast]") {
  const ScratchFolder scratch;
  for (const char* threads : {"1", "2"})
    REQUIRE(forecast(shallow_water, scratch / threads, {"--steps", "3", "--threads", threads, "--quiet"}).code == 0);
  CHECK(text_of(scratch / "1/forecast.npy") == text_of(scratch / "2/forecast.npy"));
}
#endif

TEST_CASE("forecast: says nothing when told so, and draws no bar where there is no terminal", "[cli][forecast]") {
  const ScratchFolder scratch;
  const Ended quiet = forecast(shallow_water, scratch / "out", {"--steps", "1", "--quiet"});
  CHECK(quiet.code == 0);
  CHECK(quiet.out + quiet.err == "");
  const Ended usual = forecast(shallow_water, scratch / "out", {"--steps", "1"});
  CHECK_THAT(usual.out, ContainsSubstring("nRMSE"));
  CHECK(usual.err.find('\r') == usual.err.npos);
}

TEST_CASE("forecast: goes on where the file ends", "[cli][forecast]") {
  const ScratchFolder scratch;
  const Ended ended = forecast(shallow_water, scratch / "out", {"--start", "16", "--steps", "3", "--json"});
  REQUIRE(ended.code == 0);
  CHECK(nlohmann::json::parse(ended.out).at("errors").size() == 1);  // frame 20 is the last
}

TEST_CASE("forecast: data that do not fit get one sentence and leave nothing", "[cli][forecast]") {
  const ScratchFolder scratch, output;
  const auto refused = [&](const std::string& data, int code, const std::string& words,
                           std::vector<std::string> more = {}) {
    const Ended ended = forecast(data, output / "out", std::move(more));
    INFO(ended.err);
    CHECK(ended.code == code);
    CHECK(ended.err.starts_with("fieldstep: "));
    CHECK_THAT(ended.err, ContainsSubstring(words));
    CHECK(output.size() == 0);
  };
  refused(scratch / "none.h5", 1, "none.h5");
  refused(weights, 1, "ckpt_micro.tar");
  refused(samples + "ns_incom_inhom_2d_64-18.h5", 2, "GRID 64x64");  // no model of that grid
  refused(shallow_water, 1, "has 2 frames from frame 19 on, the model reads 4", {"--start", "19"});
  refused(shallow_water, 2, "sample 7", {"--sample", "7"});
  refused(shallow_water, 2, "labels: found 12", {"--labels", "12"});
  refused(shallow_water, 2, "labels: found 2", {"--labels", "0,1"});
  refused(shallow_water, 2, "--bcs", {"--bcs", "0,2"});
  refused(shallow_water, 2, "avit-Q", {"--model", "avit-Q"});
  refused(shallow_water, 1, "--limit", {"--limit", "1e-6"});

  const std::string made = scratch / "made.h5";
  write_shallow_water(made, 6, 40, 56, 1);
  refused(made, 1, "40x56 points, wanted multiples of 16");
  write_shallow_water(made, 4, 128, 128, std::numeric_limits<float>::quiet_NaN());
  refused(made, 1, "nan in frame 3");
}

TEST_CASE("forecast: weights that do not fit get one sentence and leave nothing", "[cli][forecast]") {
  const ScratchFolder scratch, output;
  Arena<float> arena(Net::arena_size);
  initialise(Net::table(), arena.data(), make_key(0));
  const std::string other = scratch / "other.safetensors";
  io::save_weights(other, Net::table(), arena.data(), io::WeightFormat::safetensors);

  const auto run_with = [&](const std::string& file, std::vector<std::string> more) {
    std::vector<std::string> arguments{"forecast",    "--weights", file,          "--data",
                                       shallow_water, "--output",  output / "out"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Ended ended = run_fieldstep(arguments);
    CHECK(output.size() == 0);
    return ended;
  };
  const Ended named = run_with(other, {"--model", "avit-micro"});
  CHECK(complained(named, 1));
  CHECK_THAT(named.err, ContainsSubstring("embed_dim 48") && ContainsSubstring("embed_dim 32"));
  const Ended unnamed = run_with(other, {});
  CHECK(unnamed.code == 2);
  CHECK_THAT(unnamed.err, ContainsSubstring("EMBED_DIM 48 HEADS 3 BLOCKS 2 GRID 128x128"));
  CHECK(complained(run_with(shallow_water, {}), 1));
}

TEST_CASE("forecast: an output that cannot be written gets one sentence and is not there", "[cli][forecast]") {
  const ScratchFolder scratch;
  std::ofstream(scratch / "file") << "mine";
  CHECK(complained(forecast(shallow_water, scratch / "file/out"), 1));
  CHECK(complained(forecast(shallow_water, scratch / "no/such/folder"), 1));
  CHECK(complained(forecast(shallow_water, scratch / "file"), 1));
  fs::create_directory(scratch / "folder");
  std::ofstream(scratch / "folder/thesis.txt") << "mine";
  CHECK(complained(forecast(shallow_water, scratch / "folder"), 1));
  CHECK(text_of(scratch / "folder/thesis.txt") == "mine");
  CHECK(text_of(scratch / "file") == "mine");
  CHECK(scratch.size() == 2);

  // As on a full disk: no file may grow beyond 64 KiB.
  const Ended full =
      run({"sh", "-c",
           "trap '' XFSZ; ulimit -f 128; exec " + std::string(FIELDSTEP_PROGRAM) + " forecast --weights " + weights +
               " --data " + shallow_water + " --output " + (scratch / "out").string()});
  CHECK(full.code == 1);
  CHECK_THAT(full.err, ContainsSubstring((scratch / "out/").string()) && ContainsSubstring("cannot be written"));
  CHECK(scratch.size() == 2);
}

TEST_CASE("forecast: a file of the Well goes through with labels, one of Poseidon's only by its problem",
          "[cli][forecast]") {
  const ScratchFolder scratch;
  const std::string flow = sample("poseidon/NS-PwC.nc");
  const Ended named = forecast(flow, scratch / "out", {"--labels", "8,6,7,9", "--steps", "1", "--json"});
  REQUIRE(named.code == 0);
  CHECK(nlohmann::json::parse(named.out).at("set") == "Poseidon NS-PwC");
  const Ended wrong = forecast(flow, scratch / "wrong", {"--problem", "NS-Pwc"});
  CHECK(complained(wrong, 2));
  CHECK_THAT(wrong.err, ContainsSubstring("wanted one of NS-Sines"));
  const Ended oblong =
      forecast(sample("the_well/shear_flow_Reynolds_1e3_Schmidt_1e0.hdf5"), scratch / "wrong", {"--labels", "3,9,1,2"});
  CHECK(oblong.code == 2);
  CHECK_THAT(oblong.err, ContainsSubstring("GRID 64x128"));
  CHECK(scratch.size() == 1);
}

TEST_CASE("forecast: Ctrl-C leaves nothing behind, and the shell sees it", "[cli][forecast]") {
  const ScratchFolder scratch;
  // Waits for the hidden folder, interrupts, and tells how the program ended and what is there.
  const std::string script = "cd " + scratch.path().string() + " || exit 9; " + FIELDSTEP_PROGRAM +
                             " forecast --weights " + weights + " --data " + shallow_water +
                             " --output out --steps 100000 --quiet & child=$!; "
                             "for i in $(seq 500); do ls -d .out.*.partial >/dev/null 2>&1 && break; sleep 0.02; done; "
                             "sleep 0.3; kill -TERM $child; wait $child; echo $?; ls -A";
  const Ended ended = run({"sh", "-c", script});
  CHECK(ended.out == "143\n");
  CHECK(ended.err.find("fieldstep:") == ended.err.npos);
}
