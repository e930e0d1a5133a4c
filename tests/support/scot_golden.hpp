#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/models/scot.hpp>
#include <fieldstep/train/loss/channel_groups.hpp>
#include <support/golden.hpp>
#include <support/permute.hpp>

#include <algorithm>
#include <charconv>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace fieldstep::support {

/// What the original's forward pass is called with, and the masks of dropout and drop path it drew.
template <class Net>
class ScotArguments {
 public:
  using Real = typename Net::Out::value_type;

  explicit ScotArguments(const Manifest& manifest) {
    for (const SourceTensor& input : manifest.inputs()) {
      const std::vector<float> values = manifest.values(input);
      arguments_[input.argument].assign(values.begin(), values.end());
    }
    if (manifest.has("masks"))
      for (const auto& mask : manifest.json().at("masks")) keep(manifest, mask);
  }

  bool has(const char* argument) const { return arguments_.contains(argument); }
  const std::vector<Real>& operator[](const char* argument) const { return arguments_.at(argument); }
  int batch() const { return static_cast<int>(arguments_.at("pixel_values").size() / static_size<typename Net::In>()); }

  /// Masks and factors as forward_full takes them.
  typename Net::Training training() const {
    return {.masked = has("bool_masked_pos") ? arguments_.at("bool_masked_pos").data() : nullptr,
            .embeddings = embeddings_,
            .layers = factors_.empty() ? nullptr : layers_.data()};
  }

 private:
  static constexpr int stages = Net::stages;

  /// The factors of one site, such as encoder.layers.1.blocks.0.drop_path.1.
  void keep(const Manifest& manifest, const auto& mask) {
    const std::string site = mask.at("site");
    const double rate = mask.at("p");
    std::vector<Real>& factors = factors_[site];
    for (const double flag : manifest.stored_tensor(mask.at("tensor")).values)
      factors.push_back(static_cast<Real>(flag / (1 - rate)));
    if (site == "embeddings.dropout") {
      embeddings_ = factors.data();
      return;
    }
    const auto number_after = [&](std::string_view word) {
      int value = 0;
      const char* from = site.data() + site.find(word) + word.size();
      std::from_chars(from, site.data() + site.size(), value);
      return value;
    };
    const int stage = number_after(".layers."), block = number_after(".blocks.");
    const bool encoder = site.starts_with("encoder");
    int layer = block;  // in the order of execution
    for (int i = 0; i < (encoder ? stage : stages); ++i) layer += Net::depth(i);
    for (int k = 0; !encoder && k < stage; ++k) layer += Net::depth(stages - 1 - k);
    blocks::SwinKeep<Real>& where = layers_.at(static_cast<std::size_t>(layer));
    const auto is = [&](std::string_view end) { return site.ends_with(end); };
    (is("attention.self.dropout")     ? where.probabilities
     : is("attention.output.dropout") ? where.attended
     : is("drop_path.0")              ? where.attention_branch
     : is("drop_path.1")              ? where.mlp_branch
                                      : where.mlp) = factors.data();
  }

  std::map<std::string, std::vector<Real>> arguments_, factors_;
  const Real* embeddings_ = nullptr;
  std::vector<blocks::SwinKeep<Real>> layers_ = std::vector<blocks::SwinKeep<Real>>(Net::layer_count);
};

/// A forward case of Poseidon's ScOT: output, loss, activations and running statistics, in float and in double.
template <class Config, class Grid>
struct ScotGolden {
  static bool run(const Manifest& manifest) {
    const bool in_float = run_in<float>(manifest);
    return run_in<double>(manifest) && in_float;
  }

  template <class Real>
  static bool run_in(const Manifest& manifest) {
    using Net = models::ScOT<Config, Grid, Real>;
    using Exec = Kokkos::DefaultHostExecutionSpace;
    Report report(std::is_same_v<Real, float> ? "float" : "double");
    const std::vector<ExpectedTensor> outputs = manifest.outputs();
    const auto expected = [&](std::string_view name) {
      return std::ranges::find(outputs, name, &ExpectedTensor::name) != outputs.end();
    };

    const Arena<Real> arena(Net::arena_size), memory(Net::prepared_size);
    load_formulas(manifest, Net::table(), arena.data());
    const auto weights = bind<typename Net::Weights>(static_cast<const Real*>(arena.data()));
    const auto prepared = Net::prepare(weights, {}, memory.data());
    const ScotArguments<Net> arguments(manifest);
    const int batch = arguments.batch();
    const typename Net::In x(arguments["pixel_values"].data(), batch);
    const Real* time = arguments["time"].data();
    const bool trains = manifest.json().value("mode", "eval") == "train";

    std::map<std::string, std::vector<double>> computed;
    const auto forward = [&](const char* name, const auto& pass) {
      std::vector<Real> y(static_cast<std::size_t>(batch) * static_size<typename Net::Out>());
      pass(typename Net::Out(y.data(), batch));
      finish(manifest, arguments, batch, y, name, computed);
    };
    if (!trains && !arguments.has("bool_masked_pos"))
      forward("output of inference", [&](auto y) {
        const Arena<Real> workspace(Net::workspace_size);
        Net::forward(Exec(), weights, prepared, x, time, y, workspace.data());
      });
    // Full size networks leave their outputs alone, for which inference is enough.
    constexpr bool small = Net::arena_size < 1'000'000;
    if constexpr (small) {
      const Arena<Real> running(Net::arena_size);  // batch norms write their statistics here, whatever else they train
      const auto statistics = bind<typename Net::template Params<Real>>(running.data());
      auto training = arguments.training();
      if (trains) training.running = &statistics;
      const Trace<Real> trace([&](const TraceTensor<Real>& tensor) {
        const std::string name = "act/" + std::string(tensor.path);
        if (!expected(name)) return;
        const bool image = tensor.path.ends_with(".dwconv");  // the original convolves channels first
        computed[name] = permuted(tensor.data, tensor.axes, tensor.extents, image ? "bcij" : tensor.axes);
      });
      forward("output", [&](auto y) {
        const Arena<Real> workspace(Net::full_workspace_size(batch));
        Net::forward_full(Exec(), weights, prepared, x, time, y, workspace.data(), training, trace);
      });
      for (const ParamEntry& entry : Net::table())
        if (!entry.init.trained) {
          std::vector<double>& values = computed["buffer_after/" + std::string(entry.path.view())];
          values.assign(running.data() + entry.offset, running.data() + entry.offset + entry.size);
        }
    } else {
      computed["output"] = computed.at("output of inference");
    }

    for (const ExpectedTensor& tensor : outputs) {
      if (tensor.name.starts_with("grad") || tensor.name.starts_with("dact/") || tensor.name == "output_flax") {
        report.not_compared(tensor.name);  // no backward pass yet; the port's tanh GELU is no target
        continue;
      }
      const auto found = computed.find(tensor.name);
      if (found == computed.end()) {
        report.missing(tensor.name);
        continue;
      }
      const StoredTensor stored = manifest.stored_tensor(tensor.name);
      const double bound = golden_bound<Real>(tensor.ref_err, stored.in_double);
      report.compare(tensor.name, relative_l2(found->second, stored.values), bound);
      if (tensor.name == "output" && computed.contains("output of inference"))
        report.compare("output of inference", relative_l2(computed["output of inference"], stored.values), bound);
    }
    return report.passed();
  }

 private:
  /// What the original does with the output before it returns it, and its loss.
  template <class Net, class Real>
  static void finish(const Manifest& manifest, const ScotArguments<Net>& arguments, int batch, std::vector<Real>& y,
                     const char* name, std::map<std::string, std::vector<double>>& computed) {
    constexpr int channels = Net::out_fields, points = Net::pixels;
    if (arguments.has("labels")) {
      const std::vector<Real>& labels = arguments["labels"];
      if (arguments.has("pixel_mask")) {
        const std::vector<Real>& flags = arguments["pixel_mask"];
        const std::vector<unsigned char> mask(flags.begin(), flags.end());
        train::impose_labels(batch, channels, points, labels.data(), mask.data(), mask.size() == y.size(), y.data());
      }
      const auto& config = manifest.json().at("config");
      const auto& slices = config.at("channel_slice_list_normalized_loss");
      const auto groups = slices.is_null() ? std::vector<int>{} : slices.template get<std::vector<int>>();
      computed["loss"] = {
          train::ChannelGroupLoss{config.at("p"), groups}(batch, channels, points, y.data(), labels.data())};
    }
    computed[name].assign(y.begin(), y.end());
  }
};

}  // namespace fieldstep::support
