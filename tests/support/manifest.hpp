#pragma once
#include <fieldstep/core/error.hpp>
#include <support/safetensors.hpp>
#include <support/synth.hpp>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace fieldstep::support {

/// A parameter or an input of a golden case: a formula of its name, numbers in the manifest, or a tensor stored beside
/// it.
struct SourceTensor {
  std::string name;
  std::vector<int> shape;
  enum class Kind { synth, smooth, literal, stored } kind = Kind::synth;
  std::string hashed;  ///< the string that the formula hashes
  double offset = 0, scale = 1;
  std::vector<float> literal;
  std::string argument;  ///< of the original's forward pass, where an input says so

  std::size_t size() const {
    std::size_t product = 1;
    for (const int extent : shape) product *= static_cast<std::size_t>(extent);
    return product;
  }
};

/// A tensor the original computed.
struct ExpectedTensor {
  std::string name;
  double ref_err = 0;  ///< relative L2 distance of the original's own float32 run
  bool zero = false;   ///< analytically, as its note says
};

/// <case>.json, which says what was computed, with <case>.safetensors, which holds the numbers.
class Manifest {
 public:
  explicit Manifest(const std::filesystem::path& path) : path_(path) {
    std::ifstream file(path);
    json_ = nlohmann::json::parse(file, nullptr, false);
    if (json_.is_discarded()) fail(path.string(), ": no readable JSON, wanted the manifest of a golden case");
    const std::filesystem::path beside = std::filesystem::path(path).replace_extension(".safetensors");
    if (exists(beside)) tensors_.emplace(beside);
  }

  const std::filesystem::path& path() const { return path_; }
  const nlohmann::json& json() const { return json_; }
  bool has(const char* field) const { return json_.contains(field); }

  /// Without counters such as num_batches_tracked, which are no tensors and which nothing reads.
  std::vector<SourceTensor> params() const {
    std::vector<SourceTensor> all = sources("params", json_.value("param_prefix", ""));
    std::erase_if(all, [](const SourceTensor& tensor) { return tensor.shape.empty(); });
    return all;
  }
  std::vector<SourceTensor> inputs() const { return sources("inputs", ""); }

  std::vector<ExpectedTensor> outputs() const {
    std::vector<ExpectedTensor> all;
    for (const auto& entry : json_.at("outputs"))
      all.push_back({.name = entry.at("name"),
                     .ref_err = entry.contains("ref_err") ? entry["ref_err"].at("rel_l2").get<double>() : 0.0,
                     .zero = entry.contains("note")});
    return all;
  }

  bool has_tensor(const std::string& name) const { return tensors_ && tensors_->contains(name); }

  /// A tensor of the safetensors file.
  StoredTensor stored_tensor(const std::string& name) const {
    if (!tensors_) fail(path_.string(), ": has no safetensors file beside it, wanted tensor ", name);
    return tensors_->at(name);
  }

  /// The numbers of a parameter or an input.
  std::vector<float> values(const SourceTensor& tensor) const {
    switch (tensor.kind) {
      case SourceTensor::Kind::synth:
        return synth(tensor.hashed, tensor.size(), tensor.offset, tensor.scale);
      case SourceTensor::Kind::smooth:
        return smooth(tensor.hashed, tensor.shape);
      case SourceTensor::Kind::literal:
        return tensor.literal;
      case SourceTensor::Kind::stored:
        break;
    }
    const std::vector<double> stored = stored_tensor(tensor.name).values;
    return {stored.begin(), stored.end()};
  }

 private:
  std::vector<SourceTensor> sources(const char* list, const std::string& prefix) const {
    std::vector<SourceTensor> all;
    for (const auto& entry : json_.at(list)) {
      const std::string kind = entry.value("kind", "synth");
      const std::string hashed = entry.value("synth_name", prefix + entry.at("name").get<std::string>());
      SourceTensor tensor{.name = entry.at("name"),
                          .shape = entry.at("shape"),
                          .kind = SourceTensor::Kind::stored,
                          .hashed = entry.value("synth", hashed),
                          .offset = entry.value("offset", 0.0),
                          .scale = entry.value("scale", 1.0),
                          .literal = entry.value("values", std::vector<float>{}),
                          .argument = entry.value("arg", "")};
      if (kind == "synth")
        tensor.kind = SourceTensor::Kind::synth;
      else if (kind == "smooth")
        tensor.kind = SourceTensor::Kind::smooth;
      else if (entry.contains("values"))
        tensor.kind = SourceTensor::Kind::literal;
      else if (kind != "stored")
        fail(path_.string(), ": input ", tensor.name, " is of kind ", kind,
             ", wanted synth, smooth, stored or one with values");
      all.push_back(std::move(tensor));
    }
    return all;
  }

  std::filesystem::path path_;
  nlohmann::json json_;
  std::optional<SafetensorsFile> tensors_;
};

}  // namespace fieldstep::support
