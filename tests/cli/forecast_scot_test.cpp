#include <fieldstep/embed/network.hpp>
#include <fieldstep/io/dataset/dataset.hpp>
#include <fieldstep/io/npy.hpp>
#include <fieldstep/io/weights.hpp>
#include <fieldstep/models/scot.hpp>
#include <support/hdf5_writer.hpp>
#include <support/program.hpp>
#include <support/samples.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

using Catch::Matchers::ContainsSubstring;
using namespace fieldstep;
using namespace fieldstep::support;

namespace {

namespace fs = std::filesystem;

const std::string folder = FIELDSTEP_GOLDEN_DIR "/poseidon/hf_tiny", bare = folder + "/model.safetensors";
const std::string flow = sample("poseidon/NS-PwC.nc"), allen_cahn = sample("poseidon/ACE.nc");
const std::string shear = sample("the_well/shear_flow_Reynolds_1e3_Schmidt_1e0.hdf5");

/// The golden checkpoint's network, resampled from the published sets' resolution.
struct Tiny : models::ScotDefaults {
  static constexpr int embed_dim = 4, window = 8, image_size = 64;
  static constexpr std::array depths{4, 4, 4, 4}, heads{1, 1, 2, 4}, skip_blocks{2, 2, 2, 0};
};

Ended forecast(const std::string& weights, const std::string& data, const std::string& output,
               std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{"forecast", "--weights", weights, "--data", data, "--output", output};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_fieldstep(arguments);
}

nlohmann::json forecast_json(const std::string& weights, const std::string& data, const std::string& output,
                             std::vector<std::string> more = {}) {
  more.push_back("--json");
  const Ended ended = forecast(weights, data, output, std::move(more));
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  return nlohmann::json::parse(ended.out);
}

/// The golden folder with another configuration.
void write_folder(const fs::path& path, const nlohmann::json& changes) {
  fs::create_directory(path);
  fs::copy_file(bare, path / "model.safetensors");
  auto config = nlohmann::json::parse(text_of(folder + "/config.json"));
  config.update(changes);
  std::ofstream(path / "config.json") << config;
}

/// A set of Poseidon's with the flow's layout, every number `value` but the last one.
void write_flow(const fs::path& path, hsize_t frames, hsize_t side, float value, float last) {
  Hdf5Writer file(path);
  const Hdf5Writer::Shape shape{1, frames, 2, side, side};
  std::vector<float> values(Hdf5Writer::size(shape), value);
  values.back() = last;
  file.write("velocity", shape, values);
}

}  // namespace

TEST_CASE("forecast with ScOT: straight and step by step, it is what the network computes", "[cli][forecast][scot]") {
  const ScratchFolder scratch;
  const auto about = forecast_json(folder, flow, scratch / "straight", {"--time", "0.25,0.5", "--start", "2"});
  CHECK(about.at("model") == "poseidon-tiny");
  CHECK(about.at("lead_times") == std::vector<float>{0.25f, 0.5f});
  CHECK(about.at("errors").size() == 2 * 4);               // frames 7 and 12 are there
  CHECK(about.at("relative_l1_percent").size() == 2 * 3);  // rho, u v, p
  CHECK(about.at("relative_l1_percent")[1].at("group") == "u v");
  CHECK(about.at("relative_l1_percent")[2].at("median") == 0);  // the pressure is known
  forecast_json(folder, flow, scratch / "steps", {"--time", "0.5", "--ar-steps", "2", "--start", "2"});

  const io::Dataset data = io::open_dataset(flow);
  embed::Network<models::ScOT<Tiny, Grid<1, 128, 128, 4>>> network;
  io::load_weights(bare, network.table(), network.weights());
  network.condition({});
  std::vector<float> x = data.read_input(0, 2), y(network.out_size);
  const float lead_time = 0.25f;
  const auto in_the_files_units = [&](std::size_t i) {
    return data.info().normalisation[i / network.points].back(y[i]);
  };
  const std::vector<float> straight = io::numbers<float>(io::read_npy(scratch / "straight/forecast.npy").tensors[0]);
  const std::vector<float> steps = io::numbers<float>(io::read_npy(scratch / "steps/forecast.npy").tensors[0]);
  for (int step = 0; step < 2; ++step) {
    network.forward(1, x.data(), &lead_time, y.data());
    bool same = true;
    for (std::size_t i = 0; i < 3 * network.points; ++i) {  // all but the pressure
      same = same && steps[static_cast<std::size_t>(step) * network.out_size + i] == in_the_files_units(i);
      if (step == 0) same = same && straight[i] == in_the_files_units(i);
    }
    CHECK(same);
    std::copy_n(y.begin(), 3 * network.points, x.begin());
  }
}

TEST_CASE("forecast with ScOT: all later frames of a set, pictures and tables", "[cli][forecast][scot]") {
  const ScratchFolder scratch;
  const auto about = forecast_json(bare, shear, scratch / "out", {"--frames-per-unit", "10", "--pictures", "2"});
  CHECK(about.at("steps") == 10);  // a grid that is not square, and a set that says nothing of lead times
  CHECK(about.at("set").get<std::string>().starts_with("the Well"));
  for (const char* name : {"step_001.png", "step_010.png", "errors.csv", "forecast.npy", "paraview/step_010.vti"})
    CHECK(fs::file_size(scratch / "out" / name) > 0);
  CHECK_THAT(text_of(scratch / "out/errors.csv"), ContainsSubstring("nRMSE velocity_y"));
}

TEST_CASE("forecast with ScOT: what does not fit gets one sentence and leaves nothing", "[cli][forecast][scot]") {
  const ScratchFolder scratch, output;
  const auto refused = [&](const std::string& data, int code, const std::string& words,
                           std::vector<std::string> more = {}) {
    const Ended ended = forecast(folder, data, output / "out", std::move(more));
    INFO(ended.err);
    CHECK(ended.code == code);
    CHECK(ended.err.starts_with("fieldstep: "));
    CHECK_THAT(ended.err, ContainsSubstring(words));
    CHECK(output.size() == 0);
  };
  refused(allen_cahn, 1, "has 1 channel, the weights are for 4; fieldstep convert --merge");
  refused(shear, 2, "--frames-per-unit: missing");
  refused(flow, 2, "--time: found -0.5", {"--time=-0.5"});
  refused(flow, 2, "wanted one with --ar-steps", {"--time", "0.5,1", "--ar-steps", "2"});
  refused(flow, 2, "--ar-steps: found 1.5", {"--ar-steps", "1.5"});
  refused(flow, 2, "--steps: not with --time", {"--time", "1", "--steps", "2"});
  refused(flow, 2, "--samples: found 2", {"--samples", "2"});
  refused(flow, 2, "problem: found NS-Blob", {"--problem", "NS-Blob"});
  refused(flow, 1, "--limit", {"--limit", "1e-6"});

  const std::string made = scratch / "made.nc";
  const std::vector<std::string> problem{"--problem", "NS-Sines"};
  write_flow(made, 2, 32, 1, 1);
  refused(made, 1, "32x32 points, wanted at least 64 a side", problem);
  write_flow(made, 2, 66, 1, 1);
  refused(made, 1, "66x66 points, wanted multiples of 4", problem);
  write_flow(made, 2, 96, 1, 1);
  refused(made, 2,
          "FAMILY poseidon VARIANT 4x4x4x4x4 EMBED_DIM 4 DEPTHS 4,4,4,4 HEADS 1,1,2,4 SKIP_BLOCKS 2,2,2,0 WINDOW 8 "
          "IMAGE_SIZE 64 GRID 96x96 FIELDS 4",
          problem);
  write_flow(made, 1, 64, 1, std::numeric_limits<float>::quiet_NaN());
  refused(made, 1, "v is nan in frame 0", problem);
}

TEST_CASE("forecast with ScOT: a lead time beyond those of training is doubted", "[cli][forecast][scot]") {
  const ScratchFolder scratch;
  const Ended ended = forecast(folder, flow, scratch / "out", {"--time", "1,1.5"});
  CHECK(ended.code == 0);
  CHECK_THAT(ended.err, ContainsSubstring("1 lead time lies beyond 1, where ScOT was not trained (up to 1.5)"));
  CHECK(forecast(folder, flow, scratch / "out", {"--time", "1,1.5", "--quiet"}).err == "");
}

TEST_CASE("forecast with ScOT: what the network was not trained for is said", "[cli][forecast][scot]") {
  const ScratchFolder scratch;
  const Ended oblong = forecast(folder, shear, scratch / "out", {"--frames-per-unit", "10", "--time", "0.5"});
  CHECK(oblong.code == 0);
  CHECK_THAT(oblong.err, ContainsSubstring("the Well shear_flow has no normalisation of Poseidon's") &&
                             ContainsSubstring("frames of 64x128 points are not resampled to the 64 points"));
}

TEST_CASE("forecast with ScOT: times that make no sense for the network or the set are wrong usage",
          "[cli][forecast][scot]") {
  const ScratchFolder scratch;
  const std::string water = sample("pdebench/2D_rdb_NA_NA.h5"), source = sample("poseidon/Poisson-Gauss.nc");
  const Ended avit = forecast(FIELDSTEP_GOLDEN_DIR "/mpp/ckpt_micro.tar", water, scratch / "out", {"--time", "1"});
  CHECK(complained(avit, 2));
  CHECK_THAT(avit.err, ContainsSubstring("avit-micro reads no lead time; --steps says how far it goes"));
  const std::string one = scratch / "one.safetensors";
  REQUIRE(run_fieldstep({"convert", "--checkpoint", folder, "--output", one, "--merge", "--model", "poseidon-tiny",
                         "--fields", "1"})
              .code == 0);
  for (const char* option : {"--steps=3", "--ar-steps=2", "--time=0.5,1"})
    CHECK(complained(forecast(one, source, scratch / "out", {option}), 2));
  const auto solved = forecast_json(one, source, scratch / "out");
  CHECK(solved.at("steps") == 1);
  CHECK(solved.at("lead_times") == std::vector<float>{1});
  CHECK(solved.at("relative_l1_percent").size() == 1);
}

TEST_CASE("forecast with ScOT: a configuration that is not compiled in is answered with its line",
          "[cli][forecast][scot]") {
  struct Case {
    const char *key, *line;
    nlohmann::json value;
  };
  const std::string sizes = "VARIANT 4x4x4x4x4 EMBED_DIM 4 DEPTHS 4,4,4,4 HEADS 1,1,2,4 SKIP_BLOCKS 2,2,2,0 ";
  for (const Case& c : {Case{"window_size", "WINDOW 4 IMAGE_SIZE 64 GRID", 4},
                        Case{"window_size", "IMAGE_SIZE 64 GRID", 16},  // the published ones'
                        Case{"image_size", "WINDOW 8 GRID", 128},
                        Case{"layer_norm_eps", "WINDOW 8 IMAGE_SIZE 64 LAYER_NORM_EPS 0.001 GRID", 1e-3},
                        Case{"learn_residual", "WINDOW 8 IMAGE_SIZE 64 LEARN_RESIDUAL GRID", true}}) {
    const ScratchFolder scratch;
    write_folder(scratch / "other", {{c.key, c.value}});
    const std::string converted = scratch / "other.safetensors";
    REQUIRE(run_fieldstep({"convert", "--checkpoint", scratch / "other", "--output", converted}).code == 0);
    for (const std::string& weights : {std::string(scratch / "other"), converted}) {  // the same, with its metadata
      const Ended ended = forecast(weights, flow, scratch / "out", {"--time", "1"});
      INFO(ended.err);
      CHECK(ended.code == 2);
      CHECK_THAT(ended.err, ContainsSubstring(sizes + c.line + " 128x128 FIELDS 4)"));
    }
    CHECK(scratch.size() == 2);
  }
}

TEST_CASE("forecast with ScOT: a configuration that no ScOT has, or that the weights are not of, is refused",
          "[cli][forecast][scot]") {
  for (const auto& [changes, words] : {std::pair{R"({"hidden_act": "relu"})", "hidden_act: found 'relu', wanted gelu"},
                                       {R"({"mlp_ratio": 2})", "mlp ratio 2), the weights beside it are of Poseidon"},
                                       {R"({"qkv_bias": false})", "no qkv bias), the weights beside it are of"},
                                       {R"({"num_heads": [3, 1, 2, 4]})", "num_heads: found 3 in stage 0"}}) {
    const ScratchFolder scratch;
    write_folder(scratch / "other", nlohmann::json::parse(changes));
    const Ended ended = forecast(scratch / "other", flow, scratch / "out", {"--time", "1"});
    CHECK(complained(ended, 1));
    CHECK_THAT(ended.err, ContainsSubstring("other/config.json: ") && ContainsSubstring(words));
    CHECK(scratch.size() == 1);
  }
}

TEST_CASE("forecast with ScOT: weights merged for other channels start finite and of order one",
          "[cli][forecast][scot][merge]") {
  const ScratchFolder scratch;
  for (const auto& [fields, data, problem] : {std::tuple{1, allen_cahn, "ACE"}, std::tuple{5, flow, "NS-PwC.tracer"}}) {
    const std::string merged = scratch / "merged.safetensors", number = std::to_string(fields);
    const Ended converted = run_fieldstep({"convert", "--checkpoint", folder, "--output", merged, "--merge", "--model",
                                           "poseidon-tiny", "--fields", number});
    REQUIRE(converted.code == 0);
    CHECK_THAT(converted.out, ContainsSubstring("840 kept, 4 re-initialised") &&
                                  ContainsSubstring("patch_recovery.mixup.weight                    re-initialised, "
                                                    "wanted (" +
                                                    number + ", " + number + ", 5, 5), found (4, 4, 5, 5)"));
    const auto about = forecast_json(merged, data, scratch / "out", {"--problem", problem});
    CHECK(about.at("fields").size() == static_cast<std::size_t>(fields));
    float largest = 0;
    for (const float v : io::numbers<float>(io::read_npy(scratch / "out/forecast.npy").tensors[0]))
      largest = std::isfinite(v) ? std::max(largest, std::abs(v)) : std::numeric_limits<float>::infinity();
    CHECK(largest > .1);
    CHECK(largest < 10);
    CHECK(about.at("relative_l1_percent").back().at("median") < 1000);
  }
}

TEST_CASE("forecast with ScOT: relative errors over several samples", "[cli][forecast][scot]") {
  const ScratchFolder scratch;
  const std::string data = scratch / "made.nc";
  {
    Hdf5Writer file(data);
    const Hdf5Writer::Shape shape{3, 2, 2, 64, 64};
    std::vector<float> values(Hdf5Writer::size(shape));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(1 + i / (values.size() / 3));
    file.write("velocity", shape, values);
  }
  const auto median = [&](const char* sample, const char* count) {
    return forecast_json(folder, data, scratch / "out",
                         {"--problem", "NS-Sines", "--sample", sample, "--samples", count})
        .at("relative_l1_percent")[1];
  };
  std::vector<double> alone;
  for (const char* sample : {"0", "1", "2"}) alone.push_back(median(sample, "1").at("median"));
  const auto together = median("0", "3");
  CHECK(std::abs(together.at("mean").get<double>() - (alone[0] + alone[1] + alone[2]) / 3) < 1e-9);
  std::ranges::sort(alone);
  CHECK(together.at("median") == alone[1]);
}

TEST_CASE("compare: ScOT's golden checkpoint gives the original's numbers", "[cli][compare][scot]") {
  const std::string golden = FIELDSTEP_GOLDEN_DIR "/poseidon/hf_tiny.json";
  for (const std::string& weights : {folder, bare, std::string(FIELDSTEP_GOLDEN_DIR "/poseidon/hf_tiny.msgpack")}) {
    const Ended ended = run_fieldstep({"compare", weights, golden});
    INFO(ended.err);
    CHECK(ended.code == 0);
    CHECK_THAT(ended.out, ContainsSubstring("845 compared, 844 equal"));
  }
}
