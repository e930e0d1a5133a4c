#pragma once
#include <fieldstep/train/callbacks/configuration_loss.hpp>
#include <fieldstep/train/callbacks/get_network.hpp>
#include <fieldstep/train/callbacks/grad_norm.hpp>
#include <fieldstep/train/callbacks/loss_history.hpp>
#include <fieldstep/train/callbacks/weight_norm.hpp>
#include <fieldstep/train/configuration/composite.hpp>
#include <fieldstep/train/general_trainer.hpp>
#include <fieldstep/train/optimizer/adam.hpp>
#include <support/golden.hpp>
#include <support/trainax_steppers.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace fieldstep::support {

/// Whole runs of trainax' trainers: minibatches, every loss, the parameters after every update, the callbacks' values,
/// the loss on all windows before and after. The first word of a case's name is its trainer.
struct TrainerGolden {
  static bool run(const Manifest& manifest) {
    const bool single = Run<float>(manifest).passed(), twice = Run<double>(manifest).passed();
    return single && twice;
  }

 private:
  template <class Real>
  class Run {
   public:
    explicit Run(const Manifest& manifest) : manifest_(manifest), report_(in_double ? "double" : "float") {
      const SourceTensor source = manifest.inputs().front();
      const std::vector<float> values = manifest.values(source);
      data_.assign(values.begin(), values.end());
      trajectories_ = {data_.data(), source.shape[0], source.shape[1], GoldenStepper<Real>::N};
      const auto& config = manifest.json().at("config");
      if (config.at("optimizer") != "adam(1e-2)") fail("unknown optimizer ", config.at("optimizer").dump());
      options_ = {.updates = config.at("steps"),
                  .batch_size = config.at("batch_size"),
                  .key = make_key(config.at("shuffle_seed")),
                  .layout = config.at("threefry_partitionable").get<bool>() ? RandomLayout::partitionable
                                                                            : RandomLayout::legacy};
      for (const auto& entry : manifest.json().at("cases")) choose(entry);
    }

    bool passed() const { return report_.passed(); }

   private:
    static constexpr bool in_double = std::is_same_v<Real, double>;
    using Stepper = GoldenStepper<Real>;

    void choose(const nlohmann::json& entry) {
      const std::string name = entry.at("name");
      const auto& arguments = entry.at("config");
      const int R = arguments.value("num_rollout_steps", 1);
      const auto is = [&](const char* trainer) { return name.starts_with(trainer); };
      if (is("supervised")) return train(entry, train::Supervised<>{.rollout = R});
      if (is("branch_one")) return train(entry, train::DivertedChain<>{.rollout = R});
      if (is("diverted"))
        return train(entry, train::DivertedChain<>{.rollout = R, .branch_steps = arguments.at("num_branch_steps")});
      if (is("residuum")) return train(entry, train::Residuum<>{.rollout = R, .cut_prev = arguments.at("cut_prev")});
      if (is("mix"))
        return train(entry, train::MixChain<>{
                                .pattern = train::MixChain<>::post_physics(R, arguments.at("num_post_physics_steps"))});
      if (is("composite") && arguments.at("parts") == "0.5 * Supervised(2) + 2.0 * Residuum(1)")
        return train(entry, train::Composite{std::tuple{train::Supervised<>{.rollout = 2}, train::Residuum<>{}},
                                             std::array{.5, 2.}});
      fail("unknown trainer ", name);
    }

    template <class C>
    void train(const nlohmann::json& entry, const C& configuration) {
      name_ = entry.at("name");
      Stepper stepper(options_.batch_size, "tanh");
      load_formulas(manifest_, stepper.table(), stepper.weights());
      auto reference = GoldenReference<Real>::named("fou");
      auto residuum = GoldenResiduum<Real>::named("ie_diffusion");
      train::TrainingOptions options = options_;
      options.sub_stacking = entry.at("config").value("do_sub_stacking", true);
      train::GeneralTrainer trainer(stepper, trajectories_, configuration, train::Adam<>{.schedule = {1e-2}}, options,
                                    &reference, &residuum);
      report_.compare(name_ + " windows",
                      static_cast<double>(trainer.stacker().size() - entry.at("num_total_samples").get<long>()), 0);
      compare_minibatches(entry, trainer.order());
      compare_number("full_loss_before", trainer.full_loss(), entry.at("full_loss_before"));

      using Goal = std::remove_cvref_t<decltype(trainer.goal())>;
      train::LossHistory every{.every = 1}, every_5{.every = 5};
      Parameters parameters{stepper, {}};
      if (entry.contains("callbacks")) {
        train::WeightNorm norm(trainer.groups(), 3), squared(trainer.groups(), 4, true);
        using Supervised = train::Supervised<>;
        train::GradNorm<Supervised, Goal> gradient({.rollout = 1}, trainer.groups(), 2),
            gradient_squared({.rollout = 2}, trainer.groups(), 5, true);
        train::ConfigurationLoss<Supervised, Goal> one_step({.rollout = 1}, 4);
        trainer.run(norm, squared, gradient, gradient_squared, one_step, every, every_5, parameters);
        compare_callback(entry, "weight_norm", norm.record());
        compare_callback(entry, "weight_norm_sq", squared.record());
        compare_callback(entry, "grad_norm", gradient.record());
        compare_callback(entry, "grad_norm_sq", gradient_squared.record());
        compare_callback(entry, "one_step_loss", one_step.record());
      } else {
        trainer.run(every, every_5, parameters);
      }
      compare_number("full_loss_after", trainer.full_loss(), entry.at("full_loss_after"));
      compare_tensor(entry, "loss", values_of(every.record));
      compare_tensor(entry, "params", parameters.history);
      if (entry.contains("loss_every_5")) {
        const std::vector<double> expected = entry["loss_every_5"];
        report_.compare(name_ + " loss_every_5", relative_l2(values_of(every_5.record), expected),
                        bound(entry.at("ref_err").at("loss").at("rel_l2")));
      }
    }

    /// All parameters after every update, one after the other.
    struct Parameters {
      Stepper& stepper;
      std::vector<double> history;
      bool on_step(const train::Update&) {
        for (const ParamEntry& parameter : stepper.table())
          for (std::size_t j = 0; j < parameter.size; ++j)
            history.push_back(static_cast<double>(stepper.weights()[parameter.offset + j]));
        return false;
      }
    };

    static double bound(double ref_err) { return in_double ? 1e-10 : 8 * std::max(ref_err, 2e-7); }
    static std::vector<double> values_of(const train::Record<>& record) {
      std::vector<double> values;
      for (const auto& [i, value] : record) values.push_back(value);
      return values;
    }

    void compare_number(const std::string& what, double computed, double expected) {
      report_.compare(name_ + " " + what, std::abs(computed - expected), bound(0) * std::abs(expected));
    }
    void compare_tensor(const nlohmann::json& entry, const std::string& what, const std::vector<double>& computed) {
      report_.compare(name_ + " " + what, relative_l2(computed, manifest_.stored_tensor(name_ + "/" + what).values),
                      bound(entry.at("ref_err").at(what).at("rel_l2")));
    }
    void compare_minibatches(const nlohmann::json& entry, train::PermutationMixer& order) {
      long different = 0, i = 0;
      for (const auto& indices : entry.at("indices")) {
        const train::Minibatch minibatch = order(i++);
        different +=
            std::vector<int>(minibatch.samples.begin(), minibatch.samples.end()) != indices.get<std::vector<int>>();
      }
      report_.compare(name_ + " minibatches", static_cast<double>(different), 0);
    }
    /// Value for value, and no value where the original has none.
    void compare_callback(const nlohmann::json& entry, const char* what, const train::Record<>& record) {
      std::size_t noted = 0;
      long i = 0;
      for (const auto& values : entry.at("callbacks")) {
        if (!values.at(what).is_null()) {
          const bool there = noted < record.size() && record[noted].first == i;
          compare_number(std::string(what) + " " + std::to_string(i), there ? record[noted].second : NAN, values[what]);
          ++noted;
        }
        ++i;
      }
      report_.compare(name_ + " " + what + ", times", static_cast<double>(record.size()) - static_cast<double>(noted),
                      0);
    }

    const Manifest& manifest_;
    Report report_;
    std::vector<Real> data_;
    train::Trajectories<Real> trajectories_{};
    train::TrainingOptions options_{};
    std::string name_;
  };
};

}  // namespace fieldstep::support
