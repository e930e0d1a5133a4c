#pragma once
#include <fieldstep/embed/net_stepper.hpp>
#include <fieldstep/models/conv_net.hpp>
#include <fieldstep/train/callbacks/loss_history.hpp>
#include <fieldstep/train/general_trainer.hpp>
#include <fieldstep/train/optimizer/adam.hpp>
#include <fieldstep/train/sample_data.hpp>
#include <support/golden.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace fieldstep::support {

/// trainax' quickstart from its keys on: the start of the network and the data of our own generators, the order of the
/// windows, every loss and the stencil that a thousand updates end with, from the stored start and data.
template <int Points>
struct QuickstartGolden {
  static bool run(const Manifest& manifest) {
    const bool single = Run<float>(manifest).passed(), twice = Run<double>(manifest).passed();
    return single && twice;
  }

 private:
  struct Stencil : models::LinearConv {
    static constexpr int kernel = 2;
  };

  template <class Real>
  class Run {
   public:
    explicit Run(const Manifest& manifest)
        : manifest_(manifest), config_(manifest.json().at("config")), report_(in_double ? "double" : "float") {
      layout_ = config_.at("partitionable").get<bool>() ? RandomLayout::partitionable : RandomLayout::legacy;
      start_ = manifest.stored_tensor("init_weight").values;
      const StoredTensor stored = manifest.stored_tensor("ref_data");
      data_.assign(stored.values.begin(), stored.values.end());
      trajectories_ = {data_.data(), stored.shape[0], stored.shape[1], Points};
      compare_start();
      compare_data();
      for (const auto& output : manifest.json().at("outputs")) train(output);
    }
    bool passed() const { return report_.passed(); }

   private:
    static constexpr bool in_double = std::is_same_v<Real, double>;
    using Net = models::ConvNet<Stencil, Shape<Points>, Real>;
    using Stepper = embed::NetStepper<Net>;

    Key key(const char* name) const { return make_key(config_.at(name)); }

    void compare_start() {
      std::vector<Real> weights(Net::arena_size);
      initialise_layer_equinox(Net::table(), 0, weights.data(), key("net_key"), layout_);
      long different = 0;
      for (std::size_t i = 0; i < start_.size(); ++i) different += static_cast<double>(weights[i]) != start_[i];
      report_.compare("own start, bit for bit", static_cast<double>(different), 0);
    }

    void compare_data() {
      const std::vector<double> own =
          train::advection_1d_periodic<double>({.num_points = Points,
                                                .num_samples = config_.at("num_samples"),
                                                .cfl = config_.at("cfl"),
                                                .highest_init_mode = config_.at("highest_init_mode"),
                                                .temporal_horizon = config_.at("temporal_horizon")},
                                               key("data_key"), layout_);
      double largest = own.size() == data_.size() ? 0 : INFINITY;
      for (std::size_t i = 0; i < std::min(own.size(), data_.size()); ++i)
        largest = std::max(largest, std::abs(own[i] - static_cast<double>(data_[i])));
      const double allowed = manifest_.json().at("inputs").at(0).at("own_generator_max_abs_difference");
      report_.compare("own data, largest difference", largest, 1.01 * allowed);
    }

    void train(const nlohmann::json& output) {
      const std::string name = output.at("name");
      const long updates = config_.at("steps");
      Stepper stepper(config_.at("batch_size"));
      std::ranges::copy(start_, stepper.weights());
      train::GeneralTrainer trainer(stepper, trajectories_, train::Supervised<>{.rollout = output.at("rollout")},
                                    train::Adam<>{.schedule = {config_.at("lr").get<double>()}},
                                    train::TrainingOptions{.updates = updates,
                                                           .batch_size = config_.at("batch_size"),
                                                           .key = key("shuffle_key"),
                                                           .layout = layout_});
      compare_order(output, trainer.order());
      train::LossHistory losses;
      trainer.run(losses);

      const auto& ref_err = output.at("ref_err");
      const auto bound = [&](const char* what) {
        return in_double ? 1e-10 : 8 * std::max(ref_err.at(what).at("rel_l2").template get<double>(), 2e-7);
      };
      const std::string precision = in_double ? "f64" : "f32";
      std::vector<double> history;
      for (const auto& [i, value] : losses.record) history.push_back(value);
      report_.compare(name + " losses", relative_l2(history, manifest_.stored_tensor("loss_" + name + "_f64").values),
                      bound("loss"));
      const std::vector<double> weight(stepper.weights(), stepper.weights() + start_.size());
      const std::vector<double> expected = output.at("weight_f64");
      report_.compare(name + " stencil", relative_l2(weight, expected), bound("weight"));
      const double cfl = config_.at("cfl");
      const double distance = std::hypot(weight[0] - (1 + cfl), weight[1] + cfl);
      report_.compare(name + " distance to upwind",
                      std::abs(distance - output.at("distance_to_fou_" + precision).template get<double>()), 1e-5);
    }

    void compare_order(const nlohmann::json& output, train::PermutationMixer& order) {
      const std::string name = output.at("name");
      const StoredTensor all = manifest_.stored_tensor("perm_" + name);
      long different = order.per_epoch() != output.at("minibatches_per_epoch").get<long>(), at = 0;
      for (long i = 0; i < order.per_epoch() * (config_.at("steps").get<long>() / order.per_epoch()); ++i)
        for (const std::int32_t index : order(i).samples)
          different += static_cast<double>(index) != all.values[static_cast<std::size_t>(at++)];
      report_.compare(name + " order of windows", static_cast<double>(different), 0);
    }

    const Manifest& manifest_;
    const nlohmann::json& config_;
    Report report_;
    RandomLayout layout_{};
    std::vector<double> start_;
    std::vector<Real> data_;
    train::Trajectories<Real> trajectories_{};
  };
};

}  // namespace fieldstep::support
