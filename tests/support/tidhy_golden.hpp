#pragma once
#include <fieldstep/models/tidhy_objective.hpp>
#include <fieldstep/models/tidhy_prediction.hpp>
#include <support/tidhy_trajectories.hpp>
#include <support/tidhy_units.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

namespace fieldstep::support {

/// TiDHy against its original or its NNX port: inference, losses, gradients, record, units, ten steps of training, or
/// the history of a training on stored data. What a manifest lists is compared, whatever the case.
template <class Config>
struct TidhyGolden {
  static bool run(const Manifest& manifest) {
    const bool single = Run<float>(manifest).passed(), twice = Run<double>(manifest).passed();
    return single && twice;
  }

 private:
  template <class Real>
  class Run {
   public:
    explicit Run(const Manifest& manifest) : case_(manifest), report_(in_double ? "double" : "float") {
      if (manifest.has("epochs")) {
        TidhyTrajectories<Net>(case_).follow_histories(report_);
        return;
      }
      second_order_ = manifest.json().value("gradient_order", "first") == std::string("second");
      if (case_.inputs.contains("unit/r")) TidhyUnits<Net>(case_).compute();
      if (manifest.has("recipe")) {
        TidhyTrajectories<Net>(case_).train_ten_steps();
      } else if (!second_order_) {
        compute_forward();
        compute_record();
      }
      compare_all();
    }
    bool passed() const { return report_.passed(); }

   private:
    using Net = models::Tidhy<Config, Real>;
    using Training = models::TidhyTraining<Net>;
    using Objective = models::TidhyObjective<Net>;
    using Numbers = std::vector<Real>;
    static constexpr bool in_double = TidhyCase<Net>::in_double;
    static constexpr int R = Net::R, Q = Net::Q, M = Net::M;

    void compute_forward() {
      Objective goal(case_.B, case_.T, case_.inputs.at("X").data(), case_.B, case_.options);
      std::ranges::copy(case_.weights, goal.weights());
      goal.weights_changed();
      goal.add_gradient(0);
      const models::TidhyLosses& losses = goal.losses();
      case_.keep_number("fwd/spatial_loss_rhat", losses.spatial_rhat);
      case_.keep_number("fwd/spatial_loss_rbar", losses.spatial_rbar);
      case_.keep_number("fwd/temp_loss", losses.temp);
      case_.keep_number("fwd/r2_losses", losses.r2);
      case_.keep_number("fwd/total", losses.total());
      Training& training = goal.training();
      const auto latents = static_cast<std::size_t>(case_.B) * R;
      Numbers r, r2, r_bar, w, V;
      for (int t = 1; t < case_.T; ++t) {
        r.insert(r.end(), training.r(t), training.r(t) + case_.B * R);
        r2.insert(r2.end(), training.r2(t), training.r2(t) + case_.B * Q);
        Numbers bars(latents), matrices(latents * R), mixtures(static_cast<std::size_t>(case_.B * Net::outputs));
        models::temporal_prediction<Net>(case_.bound(), training.prepared(), case_.B, training.r(t - 1), training.r2(t),
                                         bars.data(), matrices.data(), mixtures.data());
        r_bar.insert(r_bar.end(), bars.begin(), bars.end());
        V.insert(V.end(), matrices.begin(), matrices.end());
        for (int b = 0; b < case_.B; ++b)
          w.insert(w.end(), mixtures.begin() + b * Net::outputs, mixtures.begin() + b * Net::outputs + M);
      }
      case_.keep("fwd/r", r), case_.keep("fwd/r2", r2), case_.keep("fwd/r_bar", r_bar);
      case_.keep("fwd/w", w), case_.keep("fwd/V", V);
      case_.keep_params("grad/", goal.gradient());
      case_.keep("state/r", goal.r_state()), case_.keep("state/r2", goal.r2_state());
      compare_iterations("forward", training.iterations());
    }

    void compute_record() {
      Training training(case_.B, case_.T);
      training.prepare(case_.bound());
      const auto record = models::evaluate_record(training, case_.bound(), case_.options.inference, case_.B, case_.T,
                                                  case_.inputs.at("X").data(), [](int) {});
      case_.keep("rec/I", record.I), case_.keep("rec/I_hat", record.I_hat), case_.keep("rec/I_bar", record.I_bar);
      case_.keep("rec/R_hat", record.R_hat), case_.keep("rec/R_bar", record.R_bar);
      case_.keep("rec/R2_hat", record.R2_hat);
      case_.keep("rec/W", record.W), case_.keep("rec/Ut", record.Ut), case_.keep("rec/b", record.b);
      case_.keep("rec/spatial_loss_rhat", record.spatial_loss_rhat);
      case_.keep("rec/spatial_loss_rbar", record.spatial_loss_rbar);
      case_.keep("rec/temp_loss", record.temp_loss);
      case_.keep_number("rec/spatial_loss_rhat_avg", record.spatial_loss_rhat_avg);
      case_.keep_number("rec/spatial_loss_rbar_avg", record.spatial_loss_rbar_avg);
      case_.keep_number("rec/temp_loss_avg", record.temp_loss_avg);
      compare_iterations("record", std::span(record.iterations).subspan(1));
      if (case_.manifest.json().value("iterations", nlohmann::json::object()).contains("record_first_step")) {
        const int expected = case_.manifest.json()["iterations"]["record_first_step"];
        report_.compare("iterations of the first step", record.iterations[0] - expected, 0);
      }
    }

    void compare_iterations(const char* of, std::span<const int> made) {
      const auto& all = case_.manifest.json().value("iterations", nlohmann::json::object());
      if (!all.contains(of)) return;
      const std::vector<int> expected = all[of];
      report_.compare(std::string("iterations, ") + of, !std::ranges::equal(made, expected), 0);
    }

    void compare_all() {
      for (const auto& output : case_.manifest.json().at("outputs")) {
        const std::string name = output.at("name");
        if (second_order_ && name.starts_with("hist/") && name != "hist/loss_weights") {
          compare_first(name);  // nothing is balanced before the first step
          continue;
        }
        if (name.starts_with("grad_unrolled/") ||
            (second_order_ && !name.starts_with("unit/") && !name.starts_with("norm/"))) {
          report_.not_compared(name);
          continue;
        }
        const auto found = case_.computed.find(name);
        if (found == case_.computed.end()) {
          report_.missing(name);
          continue;
        }
        const StoredTensor expected = case_.manifest.stored_tensor(name);
        report_.compare(name, relative_l2(found->second, expected.values),
                        golden_bound<Real>(output.at("ref_err").at("rel_l2"), expected.in_double));
      }
    }

    void compare_first(const std::string& name) {
      const double computed = case_.computed.at(name).front(),
                   expected = case_.manifest.stored_tensor(name).values.front();
      report_.compare(name + ", first", std::abs(computed - expected),
                      (in_double ? 1e-9 : 8 * 2e-7) * std::abs(expected));
    }

    TidhyCase<Net> case_;
    Report report_;
    bool second_order_ = false;
  };
};

}  // namespace fieldstep::support
