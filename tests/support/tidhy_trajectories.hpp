#pragma once
#include <fieldstep/models/tidhy_objective.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/trainer.hpp>
#include <support/tidhy_case.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fieldstep::support {

/// The trainings of a TiDHy case: ten steps from formulas, or the history of a training on stored data.
template <class Net>
class TidhyTrajectories {
 public:
  explicit TidhyTrajectories(TidhyCase<Net>& of) : case_(of) {}

  void train_ten_steps() {
    const bool groups = case_.manifest.json().at("recipe_kind") == "train_groups";
    if (groups) set_regularisation();
    Objective goal(case_.B, case_.T, case_.inputs.at("X").data(), case_.B, case_.options);
    std::ranges::copy(case_.weights, goal.weights());
    const History history = train(goal, groups, 10, 4);
    for (const auto& [name, values] : history.values) case_.keep("hist/" + name, values);
    case_.keep_params("final/", goal.weights());
  }

  /// Trainings from stored parameters on stored data, each against its history in the precision of this build.
  void follow_histories(Report& report) {
    set_regularisation();
    const StoredTensor X = case_.manifest.stored_tensor("X_train"), X_val = case_.manifest.stored_tensor("X_val");
    const Numbers data(X.values.begin(), X.values.end()), held(X_val.values.begin(), X_val.values.end());
    const long epochs = case_.manifest.json().at("epochs");
    for (const auto& entry : case_.manifest.json().at("runs")) {
      const std::string tag = entry.at("tag"), init = tag.substr(0, tag.find('_'));
      if (!tag.ends_with("_f64")) continue;
      std::map<std::string, std::vector<double>> values;
      for (const ParamEntry& param : Net::table())
        values[case_.key(param).name] = case_.manifest.stored_tensor(init + "/params/" + case_.key(param).name).values;
      Objective goal(X.shape[0], X.shape[1], data.data(), X.shape[0], case_.options);
      case_.load(values, goal.weights());
      const History history = train(goal, true, epochs, epochs / 5);
      for (const auto& [name, computed] : history.values) {
        const std::string tensor = tag + "/hist/" + name;
        if (case_.manifest.has_tensor(tensor))
          report.compare(tensor, relative_l2(computed, case_.manifest.stored_tensor(tensor).values),
                         in_double ? 1e-9 : 8 * 2.7e-6);
      }
      Training training(X_val.shape[0], X_val.shape[1]);
      training.prepare(goal.bound());
      const auto record = models::evaluate_record(training, goal.bound(), case_.options.inference, X_val.shape[0],
                                                  X_val.shape[1], held.data(), [](int) {});
      const auto average = [&](const char* name, double value) {
        const double expected = entry.at("val").at(name);
        report.compare(tag + " " + name, std::abs(value / expected - 1), in_double ? 1e-9 : 8 * 2.7e-6);
      };
      average("spatial_loss_rhat_avg", record.spatial_loss_rhat_avg);
      average("spatial_loss_rbar_avg", record.spatial_loss_rbar_avg);
      average("temp_loss_avg", record.temp_loss_avg);
    }
  }

 private:
  using Real = typename Net::Real;
  using Numbers = std::vector<Real>;
  using Training = models::TidhyTraining<Net>;
  using Objective = models::TidhyObjective<Net>;
  static constexpr bool in_double = TidhyCase<Net>::in_double;

  struct GroupsOfOriginal {  // rates 1e-2, 1e-2, 1e-3; the R2 decoder is in none
    train::ParameterOptions operator()(const ParamEntry& entry) const {
      const std::string_view path = entry.path;
      return {.rate = path.starts_with("hypernet") ? .1 : 1, .frozen = path.starts_with("r2_decoder")};
    }
  };
  struct All {
    train::ParameterOptions operator()(const ParamEntry&) const { return {}; }
  };
  /// Halved before every multiple of `every`.
  struct Halving {
    double init;
    long every;
    double operator()(long t) const { return every > 0 ? init * std::exp2(-static_cast<double>(t / every)) : init; }
  };

  /// What every step had, before it.
  struct History {
    Objective& goal;
    std::map<std::string, std::vector<double>> values;
    bool on_step(const train::Update& update) {
      values["loss"].push_back(update.loss);
      values["spatial_loss_rhat"].push_back(goal.losses().spatial_rhat);
      values["spatial_loss_rbar"].push_back(goal.losses().spatial_rbar);
      values["temp_loss"].push_back(goal.losses().temp);
      values["r2_losses"].push_back(goal.losses().r2);
      values["grad_norm"].push_back(update.gradient_norm);
      for (const double w : goal.balance()) values["loss_weights"].push_back(w);
      return false;
    }
  };

  History train(Objective& goal, bool groups, long steps, long halving) const {
    const train::AdamW<Halving> optimizer{.schedule = {1e-2, groups ? halving : 0},
                                          .weight_decay = groups ? case_.options.weight_decay : 1e-4};
    train::ParameterGroups which =
        groups ? train::ParameterGroups(Net::table(), GroupsOfOriginal()) : train::ParameterGroups(Net::table(), All());
    train::TrainerOptions options;
    if (groups) options.max_norm = case_.config.at("clip_grad");
    train::Trainer trainer(goal, optimizer, which, options);
    History history{goal, {}};
    trainer.run(steps, history);
    return history;
  }

  void set_regularisation() {
    const auto number = [&](const char* name) { return case_.config.value(name, 0.); };
    case_.options.regularisation = {.cos_eta = number("cos_eta"),
                                    .L1_alpha = number("L1_alpha"),
                                    .L1_alpha_spat = number("L1_alpha_spat"),
                                    .L1_alpha_W = number("L1_alpha_W"),
                                    .Orth_alpha_spat = number("Orth_alpha_spat"),
                                    .Orth_alpha_r2 = number("Orth_alpha_r2")};
  }

  TidhyCase<Net>& case_;
};

}  // namespace fieldstep::support
