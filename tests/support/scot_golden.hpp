#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/models/scot_training.hpp>
#include <fieldstep/train/loss/channel_groups.hpp>
#include <support/golden.hpp>
#include <support/permute.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
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

  /// Masks and factors as the passes of training take them.
  typename models::ScotTraining<Net>::Randomness randomness() const {
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

/// A case of Poseidon's ScOT, in float and in double: output, activations, running statistics and, where there are
/// labels, loss and all gradients.
template <class Config, class Grid, bool Labelled>
struct ScotGolden {
  static bool run(const Manifest& manifest) {
    const bool in_float = Run<float>(manifest).passed();
    return Run<double>(manifest).passed() && in_float;
  }

 private:
  using Exec = Kokkos::DefaultHostExecutionSpace;
  using Tensors = std::map<std::string, std::vector<double>>;

  template <class Real>
  class Run {
    using Net = models::ScOT<Config, Grid, Real>;
    using Training = models::ScotTraining<Net>;
    /// The traces of full size networks are not stored.
    static constexpr bool traced = Net::arena_size < 1'000'000;

   public:
    explicit Run(const Manifest& manifest) : manifest_(manifest), arguments_(manifest) {
      load_formulas(manifest, Net::table(), weights_.data());
      prepared_ = Net::prepare(Exec(), w_, {}, prepared_memory_.data());
    }

    bool passed() {
      const bool trains = manifest_.json().value("mode", "eval") == "train";
      if (!trains && !arguments_.has("bool_masked_pos")) infer();
      if constexpr (Labelled || traced) train(trains);
      Report report(std::is_same_v<Real, float> ? "float" : "double");
      for (const ExpectedTensor& tensor : manifest_.outputs()) {
        if (tensor.name == "output_flax") {
          report.not_compared(tensor.name);  // the port's tanh GELU is no target
        } else if (tensor.name == "output" && computed_.contains("output of inference")) {
          compare(report, tensor, "output of inference");
          if (computed_.contains("output")) compare(report, tensor, "output");
        } else {
          compare(report, tensor, tensor.name);
        }
      }
      return report.passed();
    }

   private:
    void infer() {
      const Arena<Real> workspace(Net::workspace_size);
      std::vector<Real> y = unwritten();
      Net::forward(Exec(), w_, prepared_, in(), time(), typename Net::Out(y.data(), batch()), workspace.data());
      finish(y);
      computed_["output of inference"].assign(y.begin(), y.end());
    }

    /// Fast passes for output and gradients, and traced ones, which show activations and theirs.
    void train(bool batch_statistics) {
      const Arena<Real> running(Net::arena_size);  // batch norms write their statistics here
      const auto statistics = bind<typename Training::Gradient>(running.data());
      auto random = arguments_.randomness();
      if (batch_statistics) random.running = &statistics;
      const Arena<Real> workspace(Training::workspace_size(batch(), Activations::keep));
      std::fill_n(workspace.data(), workspace.size(), std::numeric_limits<Real>::quiet_NaN());

      const auto pass = [&](const auto& activation, const auto& gradient) {
        auto plan = Training::plan(batch(), Activations::keep, workspace.data());
        std::vector<Real> y = unwritten(), dy = unwritten(), dx(arguments_["pixel_values"].size());
        Training::forward(Exec(), w_, prepared_, in(), time(), typename Net::Out(y.data(), batch()), plan, random,
                          activation);
        const Arena<Real> gradients(Net::arena_size);
        std::fill_n(gradients.data(), gradients.size(), Real(0));
        if (finish(y, dy.data()))
          Training::backward(Exec(), w_, prepared_, in(), time(), dy.data(), plan,
                             bind<typename Training::Gradient>(gradients.data()), dx.data(), nullptr, random, gradient);
        computed_["output"].assign(y.begin(), y.end());
        computed_["grad/pixel_values"].assign(dx.begin(), dx.end());
        for (const ParamEntry& entry : Net::table()) {
          std::vector<double>& values =
              computed_[(entry.init.trained ? "grad/" : "buffer_after/") + std::string(entry.path.view())];
          values.resize(entry.size);
          export_param(entry, (entry.init.trained ? gradients : running).data(), values.data());
        }
      };
      if constexpr (traced) pass(trace("act/"), trace("dact/"));
      pass(NoTrace(), NoTrace());
      summarise();
    }

    Trace<Real> trace(const char* prefix) {
      return Trace<Real>([=, this](const TraceTensor<Real>& tensor) {
        const bool image = tensor.path.ends_with(".dwconv");  // the original convolves channels first
        computed_[prefix + std::string(tensor.path)] =
            permuted(tensor.data, tensor.axes, tensor.extents, image ? "bcij" : tensor.axes);
      });
    }

    /// Norms and sampled entries of the gradients, which is all that is stored of large ones.
    void summarise() {
      if (!manifest_.has("grad_order")) return;
      const auto& samples = manifest_.json().at("grad_sample_index");
      std::vector<double>&norms = computed_["grad_norm"], &entries = computed_["grad_sample"];
      for (std::size_t row = 0; row < samples.size(); ++row) {
        const std::vector<double>& gradient =
            computed_.at("grad/" + manifest_.json().at("grad_order")[row].template get<std::string>());
        double squares = 0;
        for (const double g : gradient) squares += g * g;
        norms.push_back(std::sqrt(squares));
        for (const std::size_t index : samples[row]) entries.push_back(gradient.at(index));
      }
    }

    void compare(Report& report, const ExpectedTensor& tensor, const std::string& name) {
      const auto found = computed_.find(name);
      if (found == computed_.end()) return report.missing(name);
      const StoredTensor stored = manifest_.stored_tensor(tensor.name);
      // Where the original's own float32 run knows no digit, the gradient is zero but for rounding.
      if (tensor.ref_err >= 1)
        report.compare(name, relative_l2(found->second, std::vector<double>(stored.values.size())),
                       std::is_same_v<Real, float> ? 2e-7 : 1e-15);
      else
        report.compare(name, relative_l2(found->second, stored.values),
                       golden_bound<Real>(tensor.ref_err, stored.in_double));
    }

    /// What the original does with the output before it returns it, and its loss with dL/dy; false without labels.
    bool finish(std::vector<Real>& y, Real* dy = nullptr) {
      constexpr int channels = Net::out_fields, points = Net::pixels;
      if (!arguments_.has("labels")) return false;
      const std::vector<Real>& labels = arguments_["labels"];
      if (arguments_.has("pixel_mask")) {
        const std::vector<Real>& flags = arguments_["pixel_mask"];
        const std::vector<unsigned char> mask(flags.begin(), flags.end());
        train::impose_labels(batch(), channels, points, labels.data(), mask.data(), mask.size() == y.size(), y.data());
      }
      const auto& config = manifest_.json().at("config");
      const auto& slices = config.at("channel_slice_list_normalized_loss");
      const auto groups = slices.is_null() ? std::vector<int>{} : slices.template get<std::vector<int>>();
      computed_["loss"] = {
          train::ChannelGroupLoss{config.at("p"), groups}(batch(), channels, points, y.data(), labels.data(), dy)};
      return true;
    }

    int batch() const { return arguments_.batch(); }
    typename Net::In in() const { return typename Net::In(arguments_["pixel_values"].data(), batch()); }
    const Real* time() const { return arguments_["time"].data(); }
    std::vector<Real> unwritten() const {
      return std::vector<Real>(static_cast<std::size_t>(batch()) * static_size<typename Net::Out>(),
                               std::numeric_limits<Real>::quiet_NaN());
    }

    const Manifest& manifest_;
    ScotArguments<Net> arguments_;
    Arena<Real> weights_{Net::arena_size}, prepared_memory_{Net::prepared_size};
    typename Net::Weights w_ = bind<typename Net::Weights>(static_cast<const Real*>(weights_.data()));
    typename Net::Prepared prepared_{};
    Tensors computed_;
  };
};

}  // namespace fieldstep::support
