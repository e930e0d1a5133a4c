#pragma once
#include <fieldstep/models/tidhy_init.hpp>
#include <fieldstep/models/tidhy_objective.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// TiDHys that were compiled into a program and are chosen when it runs. cmake/FieldstepModels.cmake compiles them.
namespace fieldstep::models {

/// A TidhyObjective of any sizes behind one type; computes as it does, in float.
struct AnyTidhy {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  using Numbers = std::function<void(const std::string&, double&)>;
  using Lists = std::function<void(const std::string&, std::vector<float>&)>;

  std::function<float*()> weights, gradient;
  std::function<void()> clear_gradient, weights_changed;
  std::function<double(long)> add_gradient;
  std::function<TidhyLosses()> losses;
  std::function<TidhyLosses(int batch, int time, const float* X)> evaluate;
  std::function<TidhyRecord<float>(int batch, int time, const float* X, const std::function<void(int)>& progress)>
      evaluate_record;
  std::function<void(const Numbers&, const Lists&)> show_state;

  /// What a checkpoint must hold beside weights and optimizer.
  void visit(const auto& show) {
    show_state([&](const std::string& name, double& number) { show(name, number); },
               [&](const std::string& name, std::vector<float>& list) { show(name, list); });
  }

  template <class Goal>
  static AnyTidhy of(const std::shared_ptr<Goal>& goal) {
    struct Show {
      const Numbers& numbers;
      const Lists& lists;
      void operator()(const std::string& name, double& number) const { numbers(name, number); }
      void operator()(const std::string& name, std::vector<float>& list) const { lists(name, list); }
    };
    return {.weights = [goal] { return goal->weights(); },
            .gradient = [goal] { return goal->gradient(); },
            .clear_gradient = [goal] { goal->clear_gradient(); },
            .weights_changed = [goal] { goal->weights_changed(); },
            .add_gradient = [goal](long i) { return goal->add_gradient(i); },
            .losses = [goal] { return goal->losses(); },
            .evaluate = [goal](int batch, int time, const float* X) { return goal->evaluate(batch, time, X); },
            .evaluate_record =
                [goal](int batch, int time, const float* X, const std::function<void(int)>& progress) {
                  return goal->evaluate_record(batch, time, X, progress);
                },
            .show_state =
                [goal](const Numbers& numbers, const Lists& lists) {
                  goal->visit(Show{numbers, lists});
                }};
  }
};

/// A compiled-in TiDHy: what is known of it before it is made, and how to make it.
struct TidhyEntry {
  std::string_view name;  ///< as the program calls it: tidhy, tidhy-slds
  std::string text;       ///< its sizes: R 20, Q 10, ...
  int input_dim;
  bool counts;  ///< Poisson
  ParamTable table;
  std::size_t arena_size;
  void (*initialise)(float* weights, Key key, const TidhyStartOptions& start);
  void (*start_at_components)(float* weights, std::size_t frames, const float* X);
  AnyTidhy (*make)(int sequences, int time, const float* X, const TidhyOrder& order, int largest_batch,
                   const TidhyTrainingOptions& options, const AnyTidhy::Exec& exec);
};

template <class Config>
TidhyEntry tidhy_entry(std::string_view name) {
  using Net = Tidhy<Config>;
  return {.name = name,
          .text = tidhy_text<Config>(),
          .input_dim = Net::D,
          .counts = Config::loss_type == TidhyLoss::poisson,
          .table = Net::table(),
          .arena_size = Net::arena_size,
          .initialise = initialise_tidhy<Net>,
          .start_at_components = start_at_components<Net>,
          .make = [](int sequences, int time, const float* X, const TidhyOrder& order, int largest_batch,
                     const TidhyTrainingOptions& options, const AnyTidhy::Exec& exec) {
            return AnyTidhy::of(
                std::make_shared<TidhyObjective<Net>>(sequences, time, X, order, largest_batch, options, exec));
          }};
}

/// Those of this program, defined by what fieldstep_add_model makes.
std::vector<TidhyEntry> compiled_tidhys();

}  // namespace fieldstep::models
