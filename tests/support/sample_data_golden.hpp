#pragma once
#include <fieldstep/train/sample_data.hpp>
#include <support/golden.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace fieldstep::support {

/// trainax' sample data: NAME/steps, states from a formula's start, and NAME/from_key..., whole sets in float32. The
/// first word of NAME is the system, its arguments are the `config`'s.
struct SampleDataGolden {
  static bool run(const Manifest& manifest) {
    Report report("double");
    for (const auto& output : manifest.json().at("outputs")) {
      const std::string tensor = output.at("name");
      const std::string name = tensor.substr(0, tensor.find('/')), what = tensor.substr(name.size() + 1);
      const auto& config = manifest.json().at("config").at(name);
      const StoredTensor expected = manifest.stored_tensor(tensor);
      if (what == "steps") {
        const std::vector<double> computed = steps(name, config, expected);
        report.compare(tensor, relative_l2(computed, expected.values), 1e-10);
        continue;
      }
      const RandomLayout layout = what.ends_with("partitionable") ? RandomLayout::partitionable : RandomLayout::legacy;
      const bool advection = name.starts_with("advection");
      const std::vector<double> computed =
          advection ? train::advection_1d_periodic<double>(advection_data(config), make_key(config.at("key")), layout)
                    : train::lorenz_rk4<double>({.num_samples = 3,
                                                 .temporal_horizon = 4,
                                                 .num_warmup_steps = 6,
                                                 .init_std = 1.5,
                                                 .step = lorenz_step(config)},
                                                make_key(5), layout);
      report.compare(tensor, largest_difference(computed, expected.values), advection ? 6e-6 : 3e-5);
    }
    return report.passed();
  }

 private:
  static train::AdvectionData advection_data(const nlohmann::json& config) {
    return {.num_points = config.at("num_points"),
            .num_samples = config.at("num_samples"),
            .cfl = config.at("cfl"),
            .highest_init_mode = config.at("highest_init_mode"),
            .temporal_horizon = config.at("temporal_horizon")};
  }
  static train::LorenzStep lorenz_step(const nlohmann::json& config) {
    train::LorenzStep step;
    step.dt = config.value("dt", step.dt), step.sigma = config.value("sigma", step.sigma);
    step.rho = config.value("rho", step.rho), step.beta = config.value("beta", step.beta);
    return step;
  }

  static std::vector<double> steps(const std::string& name, const nlohmann::json& config,
                                   const StoredTensor& expected) {
    const auto count = static_cast<std::size_t>(expected.shape[0]), state = expected.values.size() / count;
    const bool advection = name.starts_with("advection");
    const std::vector<float> start = synth("trainax/sample/shared/" + name + "/u0", state, 0, advection ? 1 : 3);
    std::vector<double> all(start.begin(), start.end());
    all.resize(count * state);
    for (std::size_t t = 1; t < count; ++t) {
      const double* u = all.data() + (t - 1) * state;
      double* next = all.data() + t * state;
      if (advection)
        train::PeriodicShift(config.at("num_points"), config.at("cfl"))(u, next);
      else
        std::ranges::copy(lorenz_step(config)({u[0], u[1], u[2]}), next);
    }
    return all;
  }

  static double largest_difference(const std::vector<double>& computed, const std::vector<double>& expected) {
    double largest = computed.size() == expected.size() ? 0 : INFINITY;
    for (std::size_t i = 0; i < std::min(computed.size(), expected.size()); ++i)
      largest = std::max(largest, std::abs(computed[i] - expected[i]));
    return largest;
  }
};

}  // namespace fieldstep::support
