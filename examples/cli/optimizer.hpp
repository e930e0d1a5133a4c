#pragma once
#include <examples/cli/models.hpp>
#include <fieldstep/train/concepts.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// Optimizers, schedules and parameter groups by the names that the command line has for them.
namespace fieldstep::cli {

/// An optimizer that is chosen when the program runs, itself a train::Optimizer; all kernels are in optimizer.cpp.
class AnyOptimizer {
 public:
  /// A state of any optimizer, and what it shows.
  struct Held {
    std::shared_ptr<void> state;
    std::vector<std::pair<std::string, std::variant<Arena<float>*, double*>>> shown;
  };
  using MakeState = std::function<Held(const train::ParameterGroups&)>;
  using Exec = Kokkos::DefaultHostExecutionSpace;
  using Step = std::function<void(const Exec&, const train::ParameterGroups&, long, float*, float*, void*, double)>;

  AnyOptimizer(MakeState make_state, Step step) : make_state_(std::move(make_state)), step_(std::move(step)) {}

  template <class Real>
  struct State : Held {
    void visit(const auto& show) {
      for (const auto& [name, part] : shown) std::visit([&](auto* what) { show(name, *what); }, part);
    }
  };
  template <class Real>
  State<Real> make_state(const train::ParameterGroups& groups) const {
    return {make_state_(groups)};
  }
  template <class Real>
  void step(const Exec& exec, const train::ParameterGroups& groups, long t, Real* weights, Real* gradient,
            State<Real>& state, double factor = 1) const {
    step_(exec, groups, t, weights, gradient, state.state.get(), factor);
  }

 private:
  MakeState make_state_;
  Step step_;
};

using LearningRate = std::function<double(long)>;

inline const std::vector<std::string> optimizer_names{"sgd",   "momentum", "nesterov",    "adam",
                                                      "adamw", "amsgrad",  "rmsprop",     "adagrad",
                                                      "lion",  "adan",     "dadapt-adan", "dadapt-adam"};
inline const std::vector<std::string> schedule_names{"constant", "cosine", "linear", "onecycle", "mpp"};

/// Whether an optimizer finds its learning rate itself: the schedule is a factor of it.
bool adapts_rate(std::string_view optimizer);
/// Whether it decays weights beside the gradient's step, not through the gradient.
bool decouples_decay(std::string_view optimizer);

AnyOptimizer make_optimizer(const std::string& name, const LearningRate& schedule, double weight_decay);

/// The schedule of a run of `steps` updates, each of `accumulate` minibatches, with a linear warm-up from 0.
LearningRate make_schedule(const std::string& name, double rate, long warmup, long steps, int accumulate,
                           bool adapts_rate);

/// An optimizer with its run in one text, as APEBench has it: NAME;UPDATES;SCHEDULE;...
struct OptimizerText {
  std::string name;
  long updates;
  LearningRate schedule;
};
inline constexpr const char* optimizer_text_form =
    "NAME;UPDATES;constant;RATE, NAME;UPDATES;exp;INIT;STEPS;FACTOR;STAIRCASE or "
    "NAME;UPDATES;warmup_cosine;INIT;PEAK;WARMUP";
/// "adam;10_000;warmup_cosine;0.0;1e-3;2_000"; nothing where the text is a name alone.
std::optional<OptimizerText> parse_optimizer(const std::string& text);

/// What the command line says of single parameters.
struct GroupOptions {
  double rate = 0;                           ///< the schedule's
  double embedding_rate = 0, time_rate = 0;  ///< ScOT's own for embedding and recovery, for norms; 0: none
  std::vector<std::string> frozen;           ///< middle, processor (MPP's), or beginnings of paths
};

/// The original's groups of the family: which parameters decay, and own learning rates.
train::ParameterGroups make_groups(const ModelEntry& entry, const GroupOptions& options);

}  // namespace fieldstep::cli
