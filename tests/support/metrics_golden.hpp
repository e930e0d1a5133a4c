#pragma once
#include <fieldstep/train/metric.hpp>
#include <support/golden.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace fieldstep::support {

/// exponax' metrics, means over a batch, by their names; NAME/no_ref measures the forecast alone.
struct MetricsGolden {
  static bool run(const Manifest& manifest) {
    const bool single = in<float>(manifest), twice = in<double>(manifest);
    return single && twice;
  }

 private:
  template <class Real>
  static bool in(const Manifest& manifest) {
    constexpr bool in_double = std::is_same_v<Real, double>;
    Report report(in_double ? "double" : "float");
    for (const auto& [place, entry] : manifest.json().at("cases").items()) {
      const std::vector<int> shape = entry.at("shape");
      const train::FieldShape field{
          .channels = shape.at(1), .axes = {shape.begin() + 2, shape.end()}, .extent = entry.at("domain_extent")};
      const auto values = [&](std::size_t i) {
        const auto& input = entry.at("inputs").at(i);
        const std::vector<float> drawn =
            synth(std::string(input.at("synth_name")), static_cast<std::size_t>(shape[0]) * field.size(),
                  input.at("offset"), input.at("scale"));
        return std::vector<Real>(drawn.begin(), drawn.end());
      };
      const std::vector<Real> forecast = values(0), reference = values(1);
      for (const auto& [name, expected] : entry.at("values").items()) {
        const std::size_t alone = name.find("/no_ref");
        const double value =
            train::Metric(name.substr(0, alone))
                .mean(field, shape[0], forecast.data(), alone == name.npos ? reference.data() : nullptr);
        const double original = expected, ref_err = entry.at("ref_err").at(name), size = std::abs(original);
        report.compare(place + " " + name, std::abs(value - original),
                       in_double ? 1e-10 * size : 8 * std::max(ref_err, 2e-7 * size));
      }
    }
    return report.passed();
  }
};

}  // namespace fieldstep::support
