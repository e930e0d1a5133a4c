#include <examples/cli/golden_case.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>
#include <tests/support/synth.hpp>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace fieldstep::cli {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

io::StoredTensor stored(const fs::path& manifest, const io::TensorFile& file, const std::string& name) {
  const io::StoredTensor* tensor = file.find(name);
  if (tensor == nullptr) fail(manifest.string(), ": stores no ", name);
  return *tensor;
}

Wanted wanted(const io::Extents& shape, std::size_t frames, std::size_t fields) {
  return {.name = {},
          .grid = std::to_string(shape[shape.size() - 2]) + "x" + std::to_string(shape.back()),
          .frames = static_cast<int>(frames),
          .fields = static_cast<int>(fields)};
}

/// Keeps the tensors of a file that are weights.
void keep_weights(io::TensorFile& file) {
  constexpr std::string_view prefix = "param/";
  std::erase_if(file.tensors, [&](const auto& tensor) { return !tensor.name.starts_with(prefix); });
  for (io::StoredTensor& tensor : file.tensors) tensor.name.erase(0, prefix.size());
}

/// MPP's: weights and input are stored, the input with time as the first axis.
GoldenCase read_mpp(const fs::path& manifest, const Json& json) {
  GoldenCase golden;
  golden.weights = open_weights(fs::path(manifest).replace_extension(".safetensors"));
  const io::StoredTensor x = stored(manifest, golden.weights, "x");
  golden.output = io::numbers<float>(stored(manifest, golden.weights, "output"));
  if (x.shape.size() != 5) fail(manifest.string(), ": x has shape ", io::shape_text(x.shape), ", wanted 5 axes");
  const auto frames = static_cast<std::size_t>(x.shape[0]), batch = static_cast<std::size_t>(x.shape[1]);
  const std::vector<float> time_first = io::numbers<float>(x);
  const std::size_t frame = time_first.size() / (frames * batch);
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t t = 0; t < frames; ++t) {
      const auto from = time_first.begin() + static_cast<std::ptrdiff_t>((t * batch + b) * frame);
      golden.given.x.insert(golden.given.x.end(), from, from + static_cast<std::ptrdiff_t>(frame));
    }
  golden.given.batch = static_cast<int>(batch);
  golden.model = wanted(x.shape, frames, static_cast<std::size_t>(x.shape[2]));
  golden.given.labels = json.at("state_labels").at(0).get<std::vector<int>>();
  golden.given.boundaries = json.at("bcs").at(0).get<std::array<int, 2>>();
  keep_weights(golden.weights);
  return golden;
}

/// Names and shapes of the weights that Poseidon's manifests give as formulas.
std::vector<io::StoredTensor> described_weights(const Json& json) {
  std::vector<io::StoredTensor> tensors;
  for (const Json& param : json.at("params")) {
    tensors.push_back({.name = param.at("name"), .shape = param.at("shape").get<io::Extents>()});
    tensors.back().stride = io::row_major(tensors.back().shape);
  }
  return tensors;
}

/// Poseidon's: weights and input are formulas of their names.
GoldenCase read_poseidon(const fs::path& manifest, const Json& json) {
  GoldenCase golden;
  if (json.value("mode", "eval") != "eval") fail(manifest.string(), ": is a case of training, wanted one of inference");
  const io::TensorFile file = open_weights(fs::path(manifest).replace_extension(".safetensors"));
  golden.output = io::numbers<float>(stored(manifest, file, "output"));
  for (const Json& input : json.at("inputs")) {
    const std::string argument = input.at("arg");
    if (argument == "time") golden.given.lead_times = input.at("values").get<std::vector<float>>();
    if (argument == "bool_masked_pos" || argument == "pixel_mask")
      fail(manifest.string(), ": has a ", argument, ", wanted a case without masks");
    if (argument != "pixel_values") continue;
    const auto shape = input.at("shape").get<std::vector<int>>();
    if (shape.size() != 4 || input.at("kind") != "smooth")
      fail(manifest.string(), ": pixel_values is no smooth field with 4 axes");
    golden.given.x = support::smooth(input.at("name"), shape);
    golden.given.batch = shape[0];
    golden.model = wanted({shape.begin(), shape.end()}, 1, static_cast<std::size_t>(shape[1]));
  }
  golden.weights.tensors = described_weights(json);
  const std::string prefix = json.value("param_prefix", "");
  for (std::size_t i = 0; i < golden.weights.tensors.size(); ++i) {
    io::StoredTensor& tensor = golden.weights.tensors[i];
    const Json& param = json.at("params")[i];
    const std::vector<float> values = support::synth(prefix + tensor.name, static_cast<std::size_t>(tensor.size()),
                                                     param.at("offset"), param.at("scale"));
    golden.weights.assembled.push_back(std::make_unique<std::byte[]>(values.size() * sizeof(float)));
    std::memcpy(golden.weights.assembled.back().get(), values.data(), values.size() * sizeof(float));
    tensor.data = golden.weights.assembled.back().get();
  }
  golden.network.config = io::in_file(manifest, [&] { return io::parse_scot_config(json.at("config").dump()); });
  return golden;
}

}  // namespace

GoldenCase read_golden(const fs::path& manifest) {
  GoldenCase golden;
  try {
    const Json json = Json::parse(std::ifstream(manifest));
    golden = json.value("family", "mpp") == "poseidon" ? read_poseidon(manifest, json) : read_mpp(manifest, json);
    for (const Json& tensor : json.at("outputs"))
      if (tensor.at("name") == "output")
        golden.bound = 8 * std::max(tensor.at("ref_err").at("rel_l2").get<double>(), 2e-7);
  } catch (const Json::exception& error) {
    fail(manifest.string(), ": is no golden manifest (", error.what(), ")");
  }
  if (golden.weights.tensors.empty()) fail(manifest.string(), ": stores no weights");
  golden.network.sizes = io::recognise(io::named_shapes(golden.weights));
  return golden;
}

std::vector<fs::path> manifests_for(const fs::path& folder, const io::Recognised& network) {
  std::vector<fs::path> found;
  for (const fs::directory_entry& file : fs::directory_iterator(folder)) {
    const fs::path tensors = fs::path(file.path()).replace_extension(".safetensors");
    if (file.path().extension() != ".json" || !fs::exists(tensors)) continue;
    io::TensorFile weights = open_weights(tensors);
    keep_weights(weights);
    const Json json = Json::parse(std::ifstream(file.path()), nullptr, false);
    if (weights.tensors.empty() && json.is_object() && json.value("family", "") == "poseidon")
      weights.tensors = described_weights(json);
    if (io::recognise(io::named_shapes(weights)).text() == network.text()) found.push_back(file.path());
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace fieldstep::cli
