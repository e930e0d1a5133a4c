#pragma once
#include <fieldstep/io/tidhy_keys.hpp>
#include <fieldstep/models/tidhy_objective.hpp>
#include <support/golden.hpp>

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

namespace fieldstep::support {

/// A golden case of TiDHy: options, parameters and inputs, and what is computed of them by the names of the manifest's
/// outputs. A parameter's numbers have the name and the layout of the reference, be it the original or its NNX port.
template <class Net>
struct TidhyCase {
  using Real = typename Net::Real;
  using Numbers = std::vector<Real>;
  static constexpr bool in_double = std::is_same_v<Real, double>;

  const Manifest& manifest;
  const nlohmann::json& config;
  models::TidhyTrainingOptions options;
  int B = 0, T = 0;
  Numbers weights;
  std::map<std::string, Numbers> inputs;
  std::map<std::string, std::vector<double>> computed;

  explicit TidhyCase(const Manifest& of) : manifest(of), config(of.json().at("config")) {
    options = {.inference = {.lr_r = config.at("lr_r"),
                             .lr_r2 = config.at("lr_r2"),
                             .temp_weight = config.at("temp_weight"),
                             .lmda_r = config.at("lmda_r"),
                             .lmda_r2 = config.at("lmda_r2"),
                             .L1_inf_w = config.at("L1_inf_w"),
                             .L1_inf_r2 = config.at("L1_inf_r2"),
                             .L1_inf_r = config.at("L1_inf_r"),
                             .max_iter = config.at("max_iter"),
                             .tol = config.at("tol"),
                             .batch_converge = config.at("batch_converge"),
                             .grad_norm_inf = config.at("grad_norm_inf"),
                             .grad_alpha_inf = config.at("grad_alpha_inf"),
                             .lr_weights_inf = config.at("lr_weights_inf")},
               .normalisation = {config.at("normalize_spatial"), config.at("normalize_temporal")},
               .grad_norm = config.value("grad_norm", false),
               .grad_alpha = config.at("grad_alpha"),
               .lr_weights = config.at("lr_weights"),
               .weight_decay = config.at("weight_decay")};
    if (!manifest.has("epochs")) load_formulas();
  }

  io::TidhyKey key(const ParamEntry& entry) const {
    if (manifest.json().at("reference") == "nnx") return {std::string(entry.path.view()), false};
    return io::tidhy_torch_key(entry.path.view());
  }
  typename Net::Weights bound() const { return bind<typename Net::Weights>(static_cast<const Real*>(weights.data())); }
  /// Parameters by the reference's names -> an arena.
  void load(const std::map<std::string, std::vector<double>>& values, Real* arena) const {
    for (const ParamEntry& entry : Net::table()) {
      const auto [name, transposed] = key(entry);
      const std::vector<double>& from = values.at(name);
      if (from.size() != entry.size) fail("parameter ", name, " has ", from.size(), " numbers, wanted ", entry.size);
      std::ranges::copy(laid_out<Real>(entry, transposed, from.data(), false), arena + entry.offset);
    }
  }

  /// An arena's parameters as outputs `group` + name.
  void keep_params(const std::string& group, const Real* arena) {
    for (const ParamEntry& entry : Net::table()) {
      const auto [name, transposed] = key(entry);
      computed[group + name] = laid_out<double>(entry, transposed, arena + entry.offset, true);
    }
  }
  void keep(const std::string& name, const auto& numbers) {
    computed[name].assign(std::begin(numbers), std::end(numbers));
  }
  void keep_number(const std::string& name, double number) { computed[name] = {number}; }
  void append(const std::string& name, Real value) { computed[name].push_back(static_cast<double>(value)); }

 private:
  /// A parameter as the reference has it -> as it lies in the arena; `back`: the other way.
  template <class To>
  static std::vector<To> laid_out(const ParamEntry& entry, bool transposed, const auto* from, bool back) {
    std::vector<To> to(entry.size);
    if (!transposed) {
      std::copy_n(from, entry.size, to.begin());
      return to;
    }
    const auto in = static_cast<std::size_t>(entry.extents[0]), out = static_cast<std::size_t>(entry.extents[1]);
    for (std::size_t i = 0; i < in; ++i)
      for (std::size_t o = 0; o < out; ++o)
        (back ? to[o * in + i] : to[i * out + o]) = static_cast<To>(back ? from[i * out + o] : from[o * in + i]);
    return to;
  }

  void load_formulas() {
    B = manifest.json().at("B"), T = manifest.json().at("T");
    const std::string prefix = manifest.json().at("prefix");
    std::map<std::string, std::vector<double>> values;
    const auto formula = [&](const nlohmann::json& tensor) {
      std::size_t size = 1;
      for (const std::size_t extent : tensor.at("shape")) size *= extent;
      const std::vector<float> drawn =
          synth(prefix + std::string(tensor.at("name")), size, tensor.at("offset"), tensor.at("scale"));
      return std::vector<double>(drawn.begin(), drawn.end());
    };
    for (const auto& param : manifest.json().at("params")) values[param.at("name")] = formula(param);
    weights.assign(Net::arena_size, 0);
    load(values, weights.data());
    for (const auto& input : manifest.json().at("inputs")) {
      const std::vector<double> numbers = formula(input);
      inputs[input.at("name")] = Numbers(numbers.begin(), numbers.end());
    }
    const bool listed = std::ranges::any_of(manifest.json().at("outputs"), [](const auto& output) {
      return std::string(output.at("name")).starts_with("norm/");
    });
    if (listed) {  // everything else is with the normalised parameters
      models::normalize<Net>(bind<typename Net::Gradient>(weights.data()), options.normalisation);
      keep_params("norm/", weights.data());
    }
  }
};

}  // namespace fieldstep::support
