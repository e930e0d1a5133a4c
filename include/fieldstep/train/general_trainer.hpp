#pragma once
#include <fieldstep/train/configuration/diverted_chain.hpp>
#include <fieldstep/train/configuration/mix_chain.hpp>
#include <fieldstep/train/configuration/residuum.hpp>
#include <fieldstep/train/configuration/supervised.hpp>
#include <fieldstep/train/permutation.hpp>
#include <fieldstep/train/rollout_objective.hpp>
#include <fieldstep/train/trainer.hpp>

#include <optional>

namespace fieldstep::train {

/// Numbers of a training, the same for every configuration.
struct TrainingOptions {
  long updates;
  int batch_size;
  Key key{};  ///< of the order of the windows
  RandomLayout layout = RandomLayout::partitionable;
  bool sub_stacking = true;            ///< all windows of a trajectory, otherwise its first one
  std::optional<int> window{};         ///< snapshots of a window; left out: what the configuration is made for
  std::optional<bool> only_initial{};  ///< of a window its first snapshot only; left out: where no more is read
  Activations activations = Activations::keep;
  TrainerOptions trainer{};
};

/// Everything between trajectories and a trained stepper: windows, minibatches in random order, the configuration's
/// rollout, the loop. One class for every configuration, which says itself how long its windows are and what it needs.
///   train::GeneralTrainer trainer(stepper, data, train::Supervised<>{.rollout = 5}, train::Adam<>{...}, {...});
///   trainer.run();
/// Source: trainax.trainer.GeneralTrainer and the trainers that it has for single configurations.
template <Configuration C, Stepper S, class Optimizer, class Reference = NoReference, class Residuum = NoResiduum,
          class Exec = Kokkos::DefaultHostExecutionSpace>
class GeneralTrainer {
 public:
  using Real = typename S::Real;
  using Goal = RolloutObjective<C, S, PermutationMixer, Reference, Residuum, Exec>;

  /// reference and residuum: null where the configuration needs none. The data must outlive the trainer.
  GeneralTrainer(S& stepper, const Trajectories<Real>& data, const C& configuration, const Optimizer& optimizer,
                 const TrainingOptions& training, Reference* reference = nullptr, Residuum* residuum = nullptr,
                 const Exec& exec = {})
      : training_(training),
        optimizer_(optimizer),
        stacker_((configuration.check(), stack(data, configuration, training))),
        order_(static_cast<std::int32_t>(stacker_.size()), minibatches(training), training.batch_size, training.key,
               training.layout),
        goal_(stepper, data, stacker_, order_, configuration, reference, residuum, training.activations, exec),
        groups_(stepper.table()),
        trainer_(goal_, optimizer_, groups_, training.trainer, exec) {}

  GeneralTrainer(const GeneralTrainer&) = delete;
  GeneralTrainer& operator=(const GeneralTrainer&) = delete;

  const SubStacker& stacker() const { return stacker_; }
  PermutationMixer& order() { return order_; }
  Goal& goal() { return goal_; }
  const ParameterGroups& groups() const { return groups_; }
  long step() const { return trainer_.step(); }

  /// All updates that are not made yet, or until a callback ends it.
  template <Callback... Callbacks>
  void run(Callbacks&... callbacks) {
    trainer_.run(training_.updates, callbacks...);
  }

  /// The configuration on all windows with the weights as they are.
  double full_loss() { return goal_.full_value(); }

  /// What a checkpoint must hold beside the weights: the optimizer's moments and the number of updates.
  void visit(const auto& show) { trainer_.visit(show); }

 private:
  static long minibatches(const TrainingOptions& training) { return training.updates * training.trainer.accumulate; }
  static SubStacker stack(const Trajectories<Real>& data, const C& configuration, const TrainingOptions& training) {
    return {data.count,
            data.states(),
            training.window.value_or(configuration.window()),
            {.overlapping = training.sub_stacking,
             .only_initial = training.only_initial.value_or(configuration.snapshots() == 1)}};
  }

  TrainingOptions training_;
  Optimizer optimizer_;
  SubStacker stacker_;
  PermutationMixer order_;
  Goal goal_;
  ParameterGroups groups_;
  Trainer<Goal, Optimizer, Exec> trainer_;
};

template <class C, class S, class Optimizer>
GeneralTrainer(S&, const Trajectories<typename S::Real>&, const C&, const Optimizer&, const TrainingOptions&)
    -> GeneralTrainer<C, S, Optimizer>;

/// The trainers of single configurations, also those that the original lacks.
template <class Loss, class S, class Optimizer>
using SupervisedTrainer = GeneralTrainer<Supervised<Loss>, S, Optimizer>;
template <class Loss, class S, class Optimizer, class Reference>
using DivertedChainTrainer = GeneralTrainer<DivertedChain<Loss>, S, Optimizer, Reference>;
template <class Loss, class S, class Optimizer, class Reference>
using DivertedChainBranchOneTrainer = DivertedChainTrainer<Loss, S, Optimizer, Reference>;
template <class Loss, class S, class Optimizer, class Reference>
using MixChainTrainer = GeneralTrainer<MixChain<Loss>, S, Optimizer, Reference>;
template <class Loss, class S, class Optimizer, class Function>
using ResiduumTrainer = GeneralTrainer<Residuum<Loss>, S, Optimizer, NoReference, Function>;

}  // namespace fieldstep::train
