#pragma once
#include <fieldstep/blocks/drop_path.hpp>
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/models/avit_training.hpp>
#include <fieldstep/train/loss/normalised_mse.hpp>
#include <support/golden.hpp>
#include <support/permute.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace fieldstep::support {

using Numbers = std::vector<double>;

/// The order in which the original lays out a module's activation; the letters are those of TraceTensor::axes.
inline std::string_view original_axes(std::string_view module) {
  const auto has = [&](std::string_view part) { return module.find(part) != module.npos; };
  if (module.starts_with("norm/")) return "bc";
  if (module == "space_bag" || has(".mlp.")) return "tbijc";
  if (has(".rel_pos_bias")) return "npq";
  if (module.ends_with(".qnorm") || module.ends_with(".knorm")) return has(".temporal.") ? "bijntd" : "tbnijd";
  return "tbcij";
}

/// What a manifest calls the original with, beside x; row 0 counts.
struct AvitLabels {
  std::vector<int> labels;
  std::array<int, 2> bcs;

  explicit AvitLabels(const Manifest& manifest)
      : labels(manifest.json().at("state_labels").at(0).get<std::vector<int>>()),
        bcs(manifest.json().at("bcs").at(0).get<std::array<int, 2>>()) {}
  models::AvitConditions conditions() const {
    return {.labels = labels,
            .along_x = static_cast<models::Boundary>(bcs[0]),
            .along_y = static_cast<models::Boundary>(bcs[1])};
  }
};

/// x as the manifest has it, (T, B, C, H, W), in the network's order: (B, T, C, H, W).
template <class Net>
std::vector<typename Net::Out::value_type> batch_first(const std::vector<float>& x) {
  constexpr int size = Net::fields * Net::pixels;
  const int batch = static_cast<int>(x.size()) / (Net::frames * size);
  const Numbers samples = permuted(x.data(), "tbx", std::array{Net::frames, batch, size}, "btx");
  return {samples.begin(), samples.end()};
}

/// A network with the weights, labels and boundary conditions of a manifest.
template <class Net>
class AvitUnderTest {
 public:
  using Real = typename Net::Out::value_type;
  using Exec = Kokkos::DefaultHostExecutionSpace;

  /// `load(table, arena)` fills the weights.
  template <class Load>
  AvitUnderTest(const Manifest& manifest, const Load& load) {
    load(Net::table(), arena_.data());
    prepared_ = Net::prepare(Exec(), weights(), AvitLabels(manifest).conditions(), memory_.data());
  }

  typename Net::Weights weights() const { return bind<typename Net::Weights>(static_cast<const Real*>(arena_.data())); }
  const typename Net::Prepared& prepared() const { return prepared_; }

  /// Inference: x as the manifest has it -> y (B, C, H, W).
  Numbers forward(const std::vector<float>& x) const {
    const std::vector<Real> in = batch_first<Net>(x);
    std::vector<Real> out(in.size() / Net::frames, std::numeric_limits<Real>::quiet_NaN());
    const int batch = static_cast<int>(in.size() / static_size<typename Net::In>());
    const Arena<Real> workspace(Net::workspace_size);
    Net::forward(Exec(), weights(), prepared_, typename Net::In(in.data(), batch), typename Net::Out(out.data(), batch),
                 workspace.data());
    return {out.begin(), out.end()};
  }

 private:
  Arena<Real> arena_{Net::arena_size}, memory_{Net::prepared_size};
  typename Net::Prepared prepared_{};
};

/// The factors of stochastic depth that the original drew.
template <class Net>
class AvitKeep {
 public:
  using Real = typename Net::Out::value_type;

  AvitKeep(const Manifest& manifest, int batch) {
    if (!manifest.has("drop_masks")) return;
    const auto& masks = manifest.json().at("drop_masks");
    const double last_rate = manifest.json().at("config").at("drop_path");
    factors_.resize(masks.size());
    for (std::size_t block = 0; block < masks.size(); ++block) {
      const double rate = blocks::drop_path_rate(last_rate, static_cast<int>(block), static_cast<int>(masks.size()));
      for (std::size_t branch = 0; branch < 3; ++branch) {
        const char* const names[] = {"temporal", "spatial_att", "spatial_mlp"};
        const auto flags = masks[block].at(names[branch]).template get<std::vector<int>>();
        std::vector<Real>& factors = factors_[block][branch];
        factors.resize(static_cast<std::size_t>(batch) * Net::frames);
        blocks::keep_factors(std::span(flags), batch, Net::frames, rate, factors.data());
      }
      const auto& [temporal, attention, mlp] = factors_[block];
      blocks_.push_back({temporal.data(), attention.data(), mlp.data()});
    }
  }

  const typename Net::Block::Keep* blocks() const { return blocks_.empty() ? nullptr : blocks_.data(); }

 private:
  std::vector<std::array<std::vector<Real>, 3>> factors_;
  std::vector<typename Net::Block::Keep> blocks_;
};

/// A case of MPP's AViT, in float and in double: output, statistics, activations and, where there is a target, loss and
/// all gradients.
template <class Config, class Grid>
struct AvitGolden {
  static bool run(const Manifest& manifest) {
    const bool in_float = Run<float>(manifest).passed();
    return Run<double>(manifest).passed() && in_float;
  }

 private:
  using Exec = Kokkos::DefaultHostExecutionSpace;

  template <class Real>
  class Run {
    using Net = models::AViT<Config, Grid, Real>;

   public:
    explicit Run(const Manifest& manifest)
        : manifest_(manifest),
          net_(manifest, [&](ParamTable table, Real* arena) { load_formulas(manifest, table, arena); }) {
      for (const SourceTensor& input : manifest.inputs()) inputs_[input.name] = manifest.values(input);
      x_ = batch_first<Net>(inputs_.at("x"));
    }

    bool passed() {
      if (!manifest_.has("drop_masks")) computed_["output of inference"] = net_.forward(inputs_.at("x"));
      train<models::AvitTraining<Net, true>>(trace("act/"), trace("gact/"));
      train<models::AvitTraining<Net>>(NoTrace(), NoTrace());
      sample_all();
      Report report(std::is_same_v<Real, float> ? "float" : "double");
      for (const ExpectedTensor& tensor : manifest_.outputs()) {
        compare(report, tensor, tensor.name);
        if (tensor.name == "output" && computed_.contains("output of inference"))
          compare(report, tensor, "output of inference");
      }
      return report.passed();
    }

   private:
    /// First with traces, through every frame; then as networks are trained.
    template <class Training, class Tracer>
    void train(const Tracer& activation, const Tracer& gradient) {
      const int batch = static_cast<int>(x_.size() / static_size<typename Net::In>());
      const typename Net::In in(x_.data(), batch);
      const AvitKeep<Net> keep(manifest_, batch);
      const auto unwritten = [&](std::size_t size) {
        return std::vector<Real>(size, std::numeric_limits<Real>::quiet_NaN());
      };
      std::vector<Real> y = unwritten(x_.size() / Net::frames), dy = unwritten(y.size()), dx = unwritten(x_.size());
      const Arena<Real> workspace(Training::workspace_size(batch, Activations::keep));
      std::fill_n(workspace.data(), workspace.size(), std::numeric_limits<Real>::quiet_NaN());
      auto plan = Training::plan(batch, Activations::keep, workspace.data());
      Training::forward(Exec(), net_.weights(), net_.prepared(), in, typename Net::Out(y.data(), batch), plan,
                        {keep.blocks()}, activation);
      computed_["output"].assign(y.begin(), y.end());
      if (!inputs_.contains("target")) return;
      const std::vector<Real> target(inputs_["target"].begin(), inputs_["target"].end());
      computed_["loss"] = {train::NormalisedMse{}(batch, Net::fields, Net::pixels, y.data(), target.data(), dy.data())};
      const Arena<Real> gradients(Net::arena_size);
      std::fill_n(gradients.data(), gradients.size(), Real(0));
      Training::backward(Exec(), net_.weights(), net_.prepared(), in, dy.data(), plan,
                         bind<typename Training::Gradient>(gradients.data()), dx.data(), {keep.blocks()},
                         models::InputStatistics::constant, gradient);
      computed_["grad/output"].assign(dy.begin(), dy.end());
      computed_["grad/input"] =
          permuted(dx.data(), "btcij", std::array{batch, Net::frames, Net::fields, Net::height, Net::width}, "tbcij");
      for (const ParamEntry& entry : Net::table()) {
        Numbers& values = computed_["grad/" + std::string(entry.path.view())];
        values.resize(entry.size);
        export_param(entry, gradients.data(), values.data());
        for (const double value : values) largest_ = std::max(largest_, std::abs(value));
      }
    }

    Trace<Real> trace(const std::string& prefix) {
      return Trace<Real>([=, this](const TraceTensor<Real>& tensor) {
        const std::string module(tensor.path), name = module.starts_with("norm/") ? module : prefix + module;
        computed_[name] = permuted(tensor.data, tensor.axes, tensor.extents, original_axes(module));
      });
    }

    /// The norm of a tensor and the entries that the manifest samples.
    void sample(const std::string& tensor, const nlohmann::json& indices, const std::string& norms,
                const std::string& samples) {
      const Numbers& values = computed_.at(tensor);
      double squares = 0;
      for (const double value : values) squares += value * value;
      computed_[norms].push_back(std::sqrt(squares));
      for (const std::size_t index : indices) computed_[samples].push_back(values.at(index));
    }
    void sample_all() {
      const nlohmann::json& json = manifest_.json();
      if (json.contains("block_order"))
        for (std::size_t j = 0; j < json["block_order"].size(); ++j)
          sample("act/" + json["block_order"][j].get<std::string>(), json.at("block_sample_index").at(j), "block_norms",
                 "block_samples");
      if (!json.contains("grad_input_sample_index")) return;
      sample("grad/input", json["grad_input_sample_index"], "grad_input_norm", "grad_input_samples");
      for (const auto& param : json.at("params"))
        sample("grad/" + param.at("name").template get<std::string>(), param.at("grad_sample_index"), "grad_norms",
               "grad_samples");
    }

    void compare(Report& report, const ExpectedTensor& tensor, const std::string& name) {
      const auto found = computed_.find(name);
      if (found == computed_.end()) return report.missing(name);
      const StoredTensor stored = manifest_.stored_tensor(tensor.name);
      if (tensor.zero) {  // but for rounding
        double error = found->second.size() == stored.values.size() ? 0 : std::numeric_limits<double>::infinity();
        for (const double value : found->second) error = std::max(error, std::abs(value) / largest_);
        return report.compare(name, error, std::is_same_v<Real, float> ? 1e-7 : 1e-13);
      }
      const bool lookup = Config::bias == models::PositionBias::relative && tensor.ref_err == 0 &&
                          name.find(".rel_pos_bias") != name.npos;
      report.compare(name, relative_l2(found->second, stored.values),
                     lookup ? 0 : golden_bound<Real>(tensor.ref_err, stored.in_double));
    }

    const Manifest& manifest_;
    AvitUnderTest<Net> net_;
    std::map<std::string, std::vector<float>> inputs_;
    std::vector<Real> x_;
    std::map<std::string, Numbers> computed_;
    double largest_ = 0;  ///< entry of the parameters' gradients
  };
};

}  // namespace fieldstep::support
