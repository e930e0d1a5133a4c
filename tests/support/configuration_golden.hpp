#pragma once
#include <fieldstep/train/configuration/any.hpp>
#include <fieldstep/train/configuration/composite.hpp>
#include <fieldstep/train/configuration/diverted_chain.hpp>
#include <fieldstep/train/configuration/mix_chain.hpp>
#include <fieldstep/train/configuration/residuum.hpp>
#include <fieldstep/train/configuration/supervised.hpp>
#include <fieldstep/train/corrector.hpp>
#include <fieldstep/train/rollout.hpp>
#include <support/any_loss.hpp>
#include <support/golden.hpp>
#include <support/trainax_steppers.hpp>

#include <string>
#include <vector>

namespace fieldstep::support {

/// A configuration out of the fields of a golden case.
template <class Real>
struct GoldenConfigurations {
  using Loss = AnyLoss<Real>;
  using Any = train::AnyConfiguration<train::Supervised<Loss>, train::DivertedChain<Loss>, train::MixChain<Loss>,
                                      train::Residuum<Loss>>;

  static Any make(const nlohmann::json& of) {
    const std::string kind = of.at("kind");
    const Loss loss = Loss::named(of.at("loss"), of.at("reduction"));
    const bool cut = of.at("cut_bptt");
    const int every = of.at("cut_bptt_every"), R = of.value("R", 0);
    const std::vector<double> weights = list(of, "time_level_weights");
    if (kind == "supervised" || kind == "teacher_forcing")
      return {train::Supervised<Loss>{.rollout = R,
                                      .cut_bptt = cut,
                                      .cut_bptt_every = every,
                                      .time_level_weights = weights,
                                      .forcing_every = of.value("F", 0),
                                      .loss = loss}};
    if (kind == "diverted" || kind == "branch_one")
      return {train::DivertedChain<Loss>{.rollout = R,
                                         .branch_steps = of.value("B", 1),
                                         .cut_bptt = cut,
                                         .cut_bptt_every = every,
                                         .cut_div_chain = of.at("cut_div_chain"),
                                         .time_level_weights = weights,
                                         .branch_level_weights = list(of, "branch_level_weights"),
                                         .loss = loss}};
    if (kind == "mix" || kind == "pattern")
      return {train::MixChain<Loss>{.pattern = kind == "mix" ? train::MixChain<Loss>::post_physics(R, of.at("P"))
                                                             : of.at("pattern").get<std::string>(),
                                    .cut_bptt = cut,
                                    .cut_bptt_every = every,
                                    .time_level_weights = weights,
                                    .loss = loss}};
    if (kind == "residuum")
      return {train::Residuum<Loss>{.rollout = R,
                                    .cut_bptt = cut,
                                    .cut_bptt_every = every,
                                    .cut_prev = of.at("cut_prev"),
                                    .cut_next = of.at("cut_next"),
                                    .time_level_weights = weights,
                                    .loss = loss}};
    fail("unknown configuration ", kind);
  }

  /// The field or null, or that of the part that has it.
  static std::string physics(const nlohmann::json& of, const char* field) {
    if (of.contains(field)) return of[field];
    for (const auto& part : of.value("parts", nlohmann::json::array()))
      if (part.contains(field)) return part[field];
    return "";
  }

 private:
  static std::vector<double> list(const nlohmann::json& of, const char* field) {
    if (!of.contains(field) || of[field].is_null()) return {};
    return of[field];
  }
};

/// trainax' configurations with all their options: value, gradient of the parameters and of the initial states, of each
/// case. Also the steppers of the test alone, which a difference would otherwise be looked for in the configurations.
struct ConfigurationGolden {
  static bool run(const Manifest& manifest) {
    const bool single = in<float>(manifest), twice = in<double>(manifest);
    return single && twice;
  }

 private:
  template <class Real>
  static constexpr bool in_double = std::is_same_v<Real, double>;
  static constexpr double double_bound = 1e-10;

  template <class Real>
  static bool in(const Manifest& manifest) {
    Report report(in_double<Real> ? "double" : "float");
    const SourceTensor source = manifest.inputs().front();
    const int samples = source.shape[0], snapshots = source.shape[1];
    constexpr int N = GoldenStepper<Real>::N;
    const std::vector<float> values = manifest.values(source);
    // The goldens' windows are sample by sample.
    std::vector<Real> data(values.size());
    for (int s = 0; s < samples; ++s)
      for (int t = 0; t < snapshots; ++t)
        for (int i = 0; i < N; ++i)
          data[static_cast<std::size_t>((t * samples + s) * N + i)] =
              static_cast<Real>(values[static_cast<std::size_t>((s * snapshots + t) * N + i)]);
    const train::Windows<Real> windows{data.data(), snapshots, samples, N};
    const auto losses = manifest.stored_tensor("loss").values, gradients = manifest.stored_tensor("grad").values,
               initial = manifest.stored_tensor("d_ic").values;
    for (const auto& entry : manifest.json().at("cases")) {
      GoldenStepper<Real> stepper(samples, entry.at("act"));
      load_formulas(manifest, stepper.table(), stepper.weights());
      run_case(entry, windows, stepper, losses, gradients, initial, report);
    }
    return report.passed();
  }

  template <class Real>
  static void run_case(const nlohmann::json& entry, const train::Windows<Real>& windows, GoldenStepper<Real>& network,
                       const std::vector<double>& losses, const std::vector<double>& gradients,
                       const std::vector<double>& initial, Report& report) {
    using Configurations = GoldenConfigurations<Real>;
    const std::string reference_name = Configurations::physics(entry, "ref"),
                      residuum_name = Configurations::physics(entry, "residuum"), wrap = entry.value("wrap", "");
    auto reference = GoldenReference<Real>::named(reference_name.empty() ? "fou" : reference_name);
    auto residuum = GoldenResiduum<Real>::named(residuum_name.empty() ? "ie_diffusion" : residuum_name);
    const auto row = entry.at("row").get<std::size_t>();
    const std::size_t parameters = gradients.size() / losses.size(), states = initial.size() / losses.size();
    std::vector<Real> d_ic(states, 0);
    double value = 0;

    const auto evaluate = [&](auto& stepper) {
      const auto with = [&](const auto& configuration) {
        configuration.check();
        train::Rollout rollout(stepper, &reference, &residuum, configuration.length());
        value = rollout.add_gradient(configuration, windows, d_ic.data());
        const double alone = rollout.value(configuration, windows);
        if (alone != value) fail("the value without a gradient is another one");
      };
      if (entry.at("kind") != "composite") return with(Configurations::make(entry));
      const auto& parts = entry.at("parts");
      const std::vector<double> w = entry.at("weights");
      const auto part = [&](std::size_t i) { return Configurations::make(parts.at(i)); };
      if (parts.size() == 2)
        with(train::Composite{std::tuple{part(0), part(1)}, std::array{w[0], w[1]}});
      else if (parts.size() == 3)
        with(train::Composite{std::tuple{part(0), part(1), part(2)}, std::array{w[0], w[1], w[2]}});
      else
        fail("found ", parts.size(), " parts, wanted two or three");
    };
    if (wrap.empty()) {
      evaluate(network);
    } else {
      auto coarse = GoldenReference<Real>::named("coarse");
      train::Corrector corrector(correction(wrap), network, coarse);
      evaluate(corrector);
    }

    std::vector<double> gradient;
    for (const ParamEntry& parameter : network.table())
      for (std::size_t j = 0; j < parameter.size; ++j)
        gradient.push_back(static_cast<double>(network.gradient()[parameter.offset + j]));
    const std::string name = std::to_string(row) + " " + entry.at("kind").get<std::string>();
    const auto& ref_err = entry.at("ref_err");
    const double loss_bound = in_double<Real>
                                  ? double_bound * std::abs(losses[row])
                                  : 8 * std::max(ref_err.at("loss").get<double>(), 2e-7 * std::abs(losses[row]));
    report.compare(name + " loss", std::abs(value - losses[row]), loss_bound);
    const auto compare = [&](const char* what, const std::vector<double>& computed, const std::vector<double>& all) {
      const std::span<const double> expected(all.data() + row * computed.size(), computed.size());
      const bool zero = std::ranges::all_of(expected, [](double x) { return x == 0; });
      const double bound =
          in_double<Real> ? double_bound : 8 * std::max(ref_err.at(what).at("rel_l2").get<double>(), 2e-7);
      report.compare(name + " " + what, relative_l2(computed, expected), zero ? 0 : bound);
    };
    if (gradient.size() != parameters) fail("the stepper has ", gradient.size(), " parameters, the case ", parameters);
    compare("grad", gradient, gradients);
    compare("d_ic", std::vector<double>(d_ic.begin(), d_ic.end()), initial);
  }

  static train::Correction correction(const std::string& name) {
    if (name == "parallel") return train::Correction::parallel;
    if (name == "sequential") return train::Correction::sequential;
    if (name == "sequential_with_bypass") return train::Correction::sequential_with_bypass;
    fail("unknown corrector ", name);
  }
};

}  // namespace fieldstep::support
