#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/core/trace.hpp>
#include <fieldstep/models/avit.hpp>
#include <support/golden.hpp>
#include <support/permute.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
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

/// The training loss of the original: mean over (b, c) of mean_hw((y - target)^2) / (1e-7 + mean_hw(target^2)).
inline double normalised_mse(const Numbers& y, const std::vector<float>& target, std::size_t pixels) {
  double sum = 0;
  for (std::size_t field = 0; field < y.size(); field += pixels) {
    double error = 0, norm = 0;
    for (std::size_t i = field; i < field + pixels; ++i) {
      const double wanted = static_cast<double>(target[i]);
      error += (y[i] - wanted) * (y[i] - wanted);
      norm += wanted * wanted;
    }
    sum += error / (1e-7 * static_cast<double>(pixels) + norm);
  }
  return sum / static_cast<double>(y.size() / pixels);
}

/// A network with the weights, labels, boundary conditions and keep flags of a manifest.
template <class Net>
class AvitUnderTest {
 public:
  using Real = typename Net::Out::value_type;
  using Exec = Kokkos::DefaultHostExecutionSpace;
  static constexpr std::size_t field_size = static_cast<std::size_t>(Net::fields) * Net::pixels;

  /// `load(table, arena)` fills the weights.
  template <class Load>
  AvitUnderTest(const Manifest& manifest, const Load& load)
      : arena_(Net::arena_size), memory_(Net::prepared_size), keep_(keep_factors(manifest)) {
    load(Net::table(), arena_.data());
    weights_ = bind<typename Net::Weights>(static_cast<const Real*>(arena_.data()));
    const auto labels = manifest.json().at("state_labels").at(0).template get<std::vector<int>>();
    const auto bcs = manifest.json().at("bcs").at(0).template get<std::array<int, 2>>();
    prepared_ = Net::prepare(Exec(), weights_,
                             {.labels = labels,
                              .along_x = static_cast<models::Boundary>(bcs[0]),
                              .along_y = static_cast<models::Boundary>(bcs[1])},
                             memory_.data());
  }

  bool trains() const { return !keep_.empty(); }

  /// Inference: x (T, B, C, H, W) as the manifest has it -> y (B, C, H, W).
  Numbers forward(const std::vector<float>& x) const {
    const Arena<Real> workspace(Net::workspace_size);
    return step(x, [&](auto in, auto out) { Net::forward(Exec(), weights_, prepared_, in, out, workspace.data()); });
  }

  /// The same with every frame through every layer, drop path, and show(module, numbers in the original's order) for
  /// the modules that `wanted` selects.
  Numbers forward_full(const std::vector<float>& x, const std::function<bool(std::string_view)>& wanted,
                       const std::function<void(const std::string&, Numbers)>& show) const {
    struct Shown {
      std::string axes;
      std::vector<int> extents;
      std::vector<Real> numbers;
    };
    std::map<std::string, Shown> shown;  // a large batch arrives in chunks
    const Trace<Real> trace([&](const TraceTensor<Real>& tensor) {
      if (!wanted(tensor.path)) return;
      std::size_t size = 1;
      for (const int extent : tensor.extents) size *= static_cast<std::size_t>(extent);
      auto [at, first] =
          shown.try_emplace(std::string(tensor.path), Shown{std::string(tensor.axes), tensor.extents, {}});
      Shown& all = at->second;
      if (!first && tensor.axes.starts_with('b')) all.extents[0] += tensor.extents[0];
      if (first || tensor.axes.starts_with('b')) all.numbers.insert(all.numbers.end(), tensor.data, tensor.data + size);
    });

    std::vector<typename Net::Block::Keep> keep;
    for (const auto& [temporal, attention, mlp] : keep_)
      keep.push_back({temporal.data(), attention.data(), mlp.data()});
    const Arena<Real> workspace(Net::full_workspace_size);
    Numbers y = step(x, [&](auto in, auto out) {
      Net::forward_full(Exec(), weights_, prepared_, in, out, workspace.data(), keep, trace);
    });
    for (const auto& [module, all] : shown)
      show(module, permuted(all.numbers.data(), all.axes, all.extents, original_axes(module)));
    return y;
  }

 private:
  using Branches =
      std::array<std::vector<Real>, 3>;  ///< temporal, attention and MLP: a factor for every (batch, frame)

  template <class Step>
  static Numbers step(const std::vector<float>& x, const Step& run) {
    const int batch = static_cast<int>(x.size() / (field_size * Net::frames));
    const Numbers samples =
        permuted(x.data(), "tbx", std::array{Net::frames, batch, static_cast<int>(field_size)}, "btx");
    const std::vector<Real> in(samples.begin(), samples.end());
    std::vector<Real> out(static_cast<std::size_t>(batch) * field_size);
    run(typename Net::In(in.data(), batch), typename Net::Out(out.data(), batch));
    return {out.begin(), out.end()};
  }

  static std::vector<Branches> keep_factors(const Manifest& manifest) {
    std::vector<Branches> all;
    if (!manifest.has("drop_masks")) return all;
    const auto& masks = manifest.json().at("drop_masks");
    const double last_rate = manifest.json().at("config").at("drop_path");
    const std::size_t batch = manifest.json().at("sizes").at("B");
    for (std::size_t block = 0; block < masks.size(); ++block) {
      const double rate = masks.size() > 1 ? last_rate * static_cast<double>(block) / double(masks.size() - 1) : 0;
      Branches branches;
      for (std::size_t branch = 0; branch < branches.size(); ++branch) {
        const char* const names[] = {"temporal", "spatial_att", "spatial_mlp"};
        const auto& flags = masks[block].at(names[branch]);
        for (std::size_t b = 0; b < batch; ++b)
          for (std::size_t t = 0; t < Net::frames; ++t)
            branches[branch].push_back(
                static_cast<Real>(flags.at(branch == 0 ? t : t * batch + b).template get<double>() / (1 - rate)));
      }
      all.push_back(std::move(branches));
    }
    return all;
  }

  Arena<Real> arena_, memory_;
  std::vector<Branches> keep_;
  typename Net::Weights weights_;
  typename Net::Prepared prepared_;
};

/// A forward case of MPP's AViT: output, loss, statistics and activations, in float and in double.
template <class Config, class Grid>
struct AvitGolden {
  static bool run(const Manifest& manifest) {
    const bool in_float = run_in<float>(manifest);
    return run_in<double>(manifest) && in_float;
  }

  template <class Real>
  static bool run_in(const Manifest& manifest) {
    using Net = models::AViT<Config, Grid, Real>;
    Report report(std::is_same_v<Real, float> ? "float" : "double");
    const AvitUnderTest<Net> net(manifest,
                                 [&](ParamTable table, Real* arena) { load_formulas(manifest, table, arena); });
    if (manifest.has("optimizers")) {
      first_training_step(manifest, net, report);
      return report.passed();
    }

    std::map<std::string, std::vector<float>> inputs;
    for (const SourceTensor& input : manifest.inputs()) inputs[input.name] = manifest.values(input);
    const std::vector<ExpectedTensor> outputs = manifest.outputs();
    const auto block_order = manifest.json().value("block_order", std::vector<std::string>{});
    const auto expected = [&](std::string_view name) {
      return std::ranges::find(outputs, name, &ExpectedTensor::name) != outputs.end();
    };

    std::map<std::string, Numbers> computed;
    const Numbers y = net.forward_full(
        inputs.at("x"),
        [&](std::string_view module) {
          return module.starts_with("norm/") || expected("act/" + std::string(module)) ||
                 std::ranges::find(block_order, module) != block_order.end();
        },
        [&](const std::string& module, Numbers numbers) {
          computed[module.starts_with("norm/") ? module : "act/" + module] = std::move(numbers);
        });
    computed["output"] = y;
    if (inputs.contains("target")) computed["loss"] = {normalised_mse(y, inputs["target"], Net::pixels)};
    sample_blocks(manifest, block_order, computed);

    for (const ExpectedTensor& tensor : outputs) {
      if (tensor.name.starts_with("grad") || tensor.name.starts_with("gact/")) {
        report.not_compared(tensor.name);  // the library has no backward pass yet
        continue;
      }
      const auto found = computed.find(tensor.name);
      if (found == computed.end()) {
        report.missing(tensor.name);
        continue;
      }
      const StoredTensor stored = manifest.stored_tensor(tensor.name);
      const bool lookup = Config::bias == models::PositionBias::relative && tensor.ref_err == 0 &&
                          tensor.name.find(".rel_pos_bias") != tensor.name.npos;
      const double bound = lookup ? 0 : golden_bound<Real>(tensor.ref_err, stored.in_double);
      report.compare(tensor.name, relative_l2(found->second, stored.values), bound);
      if (tensor.name == "output" && !net.trains())
        report.compare("output of inference", relative_l2(net.forward(inputs.at("x")), stored.values), bound);
    }
    return report.passed();
  }

 private:
  static void sample_blocks(const Manifest& manifest, const std::vector<std::string>& block_order,
                            std::map<std::string, Numbers>& computed) {
    for (std::size_t j = 0; j < block_order.size(); ++j) {
      const Numbers& activation = computed.at("act/" + block_order[j]);
      double squares = 0;
      for (const double value : activation) squares += value * value;
      computed["block_norms"].push_back(std::sqrt(squares));
      for (const std::size_t index : manifest.json().at("block_sample_index").at(j))
        computed["block_samples"].push_back(activation.at(index));
    }
  }

  /// Without a backward pass only the loss before the first step can be told.
  template <class Net>
  static void first_training_step(const Manifest& manifest, const AvitUnderTest<Net>& net, Report& report) {
    const std::string prefix = manifest.json().at("prefix");
    const std::size_t size = manifest.json().at("state_labels").size() * net.field_size;
    const Numbers y = net.forward_full(
        synth(prefix + "x0", size * Net::frames, .3, 1.5), [](auto) { return false; }, [](auto&, auto) {});
    const double loss = normalised_mse(y, synth(prefix + "target0", size, .2, 1.5), Net::pixels);
    for (const auto& [optimizer, result] : manifest.json().at("results").items()) {
      const double expected = result.at("loss_before_step").at(0);
      report.compare(optimizer + "/loss_before_step[0]", std::abs(loss / expected - 1),
                     std::is_same_v<typename Net::Out::value_type, float> ? 5e-5 : 1e-9);
      for (const char* later : {"/loss_before_step[1..]", "/grad_norm_before_clip", "/<parameter>"})
        report.not_compared(optimizer + later);
    }
  }
};

}  // namespace fieldstep::support
