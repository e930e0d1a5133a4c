#pragma once
#include <fieldstep/embed/training_network.hpp>
#include <fieldstep/train/chain.hpp>
#include <fieldstep/train/clip.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/optimizer/adan.hpp>
#include <fieldstep/train/optimizer/dadapt_adam.hpp>
#include <fieldstep/train/optimizer/dadapt_adan.hpp>
#include <fieldstep/train/optimizer/sgd.hpp>
#include <fieldstep/train/parameter_rules.hpp>
#include <support/avit_golden.hpp>

namespace fieldstep::support {

/// Updates of MPP's AViT by each of its trainer's optimizers: the losses, the norms of the gradients before they are
/// clipped to 1 and, in double, where the parameters went.
template <class Config, class Grid>
struct AvitStepsGolden {
  static bool run(const Manifest& manifest) {
    const bool in_float = run_in<float>(manifest);
    return run_in<double>(manifest) && in_float;
  }

 private:
  template <class Real>
  static bool run_in(const Manifest& manifest) {
    using train::Constant;
    Report report(std::is_same_v<Real, float> ? "float" : "double");
    Steps<Real> steps(manifest, report);
    const Constant rate{1e-3};
    const double decay = 1e-3;
    steps("adamw", train::AdamW<>{.schedule = rate, .weight_decay = decay});
    steps("adan", train::Adan<>{.schedule = rate, .weight_decay = decay});
    steps("dadapt_adan", train::DAdaptAdan<>{.weight_decay = decay});
    steps("dadapt_adam", train::DAdaptAdam<>{.weight_decay = decay});
    steps("sgd", train::SGD<>{.schedule = rate, .momentum = .9});
    for (const auto& [optimizer, result] : manifest.json().at("results").items())
      if (!steps.made(optimizer)) report.missing(optimizer);
    return report.passed();
  }

  template <class Real>
  class Steps {
    using Net = models::AViT<Config, Grid, Real>;
    using Exec = Kokkos::DefaultHostExecutionSpace;
    static constexpr bool in_float = std::is_same_v<Real, float>;

   public:
    Steps(const Manifest& manifest, Report& report) : manifest_(manifest), report_(report) {}

    bool made(const std::string& optimizer) const { return std::ranges::find(made_, optimizer) != made_.end(); }

    template <class Optimizer>
    void operator()(const std::string& name, const Optimizer& optimizer) {
      made_.push_back(name);
      const train::Chain clipped(train::ClipGradNorm{1}, optimizer);
      const train::ParameterGroups groups(Net::table(), train::mpp_weight_decay);
      auto state = clipped.template make_state<Real>(groups);
      const AvitLabels labels(manifest_);
      const int batch = static_cast<int>(manifest_.json().at("state_labels").size());
      const std::size_t size = static_cast<std::size_t>(batch) * Net::fields * Net::pixels;
      const std::string prefix = manifest_.json().at("prefix");
      const auto& expected = manifest_.json().at("results").at(name);

      embed::TrainingNetwork<models::AvitTraining<Net>> network(batch, Activations::keep);
      load_formulas(manifest_, Net::table(), network.weights());
      const std::vector<Real> start(network.weights(), network.weights() + Net::arena_size);
      std::vector<Real> y(size), dy(size);
      for (std::size_t s = 0; s < manifest_.json().at("steps").template get<std::size_t>(); ++s) {
        const std::string step = std::to_string(s);
        const std::vector<Real> x = batch_first<Net>(synth(prefix + "x" + step, size * Net::frames, .3, 1.5));
        const std::vector<float> wanted = synth(prefix + "target" + step, size, .2, 1.5);
        const std::vector<Real> target(wanted.begin(), wanted.end());
        network.condition(labels.conditions());
        network.forward(batch, x.data(), nullptr, y.data());
        const double loss = train::NormalisedMse{}(batch, Net::fields, Net::pixels, y.data(), target.data(), dy.data());
        network.clear_gradient();
        network.backward(dy.data());
        clipped.step(Exec(), groups, static_cast<long>(s), network.weights(), network.gradient(), state);
        const auto compare = [&](const char* what, double value, double bound) {
          const double stored = expected.at(what).at(s);
          report_.compare(name + "/" + what + "[" + step + "]", std::abs(value / stored - 1), bound);
        };
        compare("loss_before_step", loss, in_float ? 5e-5 : 1e-9);
        compare("grad_norm_before_clip", std::get<0>(state.links).norm, in_float ? 5e-4 : 1e-9);
      }
      if constexpr (!in_float) compare_parameters(name, start, network.weights());
    }

   private:
    /// Of some optimizers it is stored how far they went.
    void compare_parameters(const std::string& name, const std::vector<Real>& start, const Real* weights) {
      if (!manifest_.has_tensor(name + "/" + std::string(Net::table()[0].path.view()))) return;
      for (const ParamEntry& entry : Net::table()) {
        const std::string path(entry.path.view()), tensor = name + "/" + path;
        Numbers before(entry.size), change(entry.size);
        export_param(entry, start.data(), before.data());
        export_param(entry, weights, change.data());
        for (std::size_t i = 0; i < change.size(); ++i) change[i] -= before[i];
        if (path.ends_with(".knorm.bias"))  // its gradient is zero but for rounding, which Adam's kind makes steps of
          report_.compare(tensor, largest(change), 1e-9);
        else
          report_.compare(tensor, relative_l2(change, manifest_.stored_tensor(tensor).values), 1e-7);
      }
    }

    static double largest(const Numbers& numbers) {
      double most = 0;
      for (const double number : numbers) most = std::max(most, std::abs(number));
      return most;
    }

    const Manifest& manifest_;
    Report& report_;
    std::vector<std::string> made_;
  };
};

}  // namespace fieldstep::support
