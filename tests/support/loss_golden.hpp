#pragma once
#include <support/any_loss.hpp>
#include <support/golden.hpp>
#include <support/numbers.hpp>

#include <algorithm>
#include <cmath>
#include <string>

namespace fieldstep::support {

/// trainax' losses, LOSS/REDUCTION[/no_target]: value, value of every sample, both derivatives.
struct LossGolden {
  static bool run(const Manifest& manifest) {
    const bool single = in<float>(manifest), twice = in<double>(manifest);
    return single && twice;
  }

 private:
  template <class Real>
  static bool in(const Manifest& manifest) {
    constexpr bool in_double = std::is_same_v<Real, double>;
    Report report(in_double ? "double" : "float");
    const SourceTensor source = manifest.inputs().front();
    const int samples = source.shape[0];
    const std::size_t count = source.size(), size = count / static_cast<std::size_t>(samples);
    const auto values_of = [&](std::size_t input) {
      const Arena<Real> numbers(count);
      std::ranges::copy(manifest.values(manifest.inputs().at(input)), numbers.data());
      return numbers;
    };
    const Arena<Real> prediction = values_of(0), target = values_of(1);

    for (const auto& output : manifest.json().at("outputs")) {
      const std::string name = output.at("name");
      const std::size_t slash = name.find('/'), end = name.find('/', slash + 1);
      const std::string loss_name = name.substr(0, slash), reduction = name.substr(slash + 1, end - slash - 1);
      const bool alone = end != name.npos;
      const auto loss = AnyLoss<Real>::named(loss_name, reduction);
      const Arena<Real> dy = constant<Real>(count, 0), dtarget = constant<Real>(count, 0);
      const double value = loss.measure(samples, size, prediction.data(), alone ? nullptr : target.data(), 1, dy.data(),
                                        alone ? nullptr : dtarget.data());
      const auto& ref_err = output.at("ref_err");
      const auto compare_number = [&](const std::string& what, double computed, double expected, double allowed) {
        report.compare(what, std::abs(computed - expected),
                       in_double ? 1e-10 * std::abs(expected) : 8 * std::max(allowed, 2e-7 * std::abs(expected)));
      };
      compare_number(name, value, output.at("value"), ref_err.at("value"));
      for (int s = 0; !output.at("single").is_null() && s < samples; ++s) {
        const Real* none = nullptr;
        Real* nowhere = nullptr;
        const std::size_t at = static_cast<std::size_t>(s) * size;
        compare_number(
            name + " sample " + std::to_string(s),
            loss.measure(1, size, prediction.data() + at, alone ? none : target.data() + at, 1, nowhere, nowhere),
            output["single"].at(static_cast<std::size_t>(s)), 0);
      }
      const double bound =
          in_double ? 1e-10 : 8 * std::max(ref_err.at("d_prediction").at("rel_l2").get<double>(), 2e-7);
      const auto compare_tensor = [&](const std::string& tensor, const Arena<Real>& computed) {
        report.compare(tensor, relative_l2(support::in_double(computed), manifest.stored_tensor(tensor).values), bound);
      };
      compare_tensor(name + "/d_prediction", dy);
      if (!alone) compare_tensor(name + "/d_target", dtarget);
    }
    return report.passed();
  }
};

}  // namespace fieldstep::support
