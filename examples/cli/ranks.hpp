#pragma once
#include <examples/cli/interruption.hpp>
#include <examples/cli/method_objective.hpp>
#include <examples/cli/training.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/models/any_tidhy.hpp>
#include <fieldstep/train/set_sampler.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

/// The processes that mpirun started together; this one alone where it did not, or where the program knows no MPI
/// (ranks_alone.cpp in the place of ranks_mpi.cpp).
namespace fieldstep::cli {

/// Joins the others while it lives, in main().
class Ranks {
 public:
  Ranks(int* argc, char*** argv);
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;
  ~Ranks();

  static int rank();
  static int size();
  /// Ends all processes where one has failed and others may wait for it.
  static void abort(int code);
};

/// Parts that a minibatch is cut into.
int minibatch_parts(bool fixed_order);

/// An objective that one process or several compute.
struct SharedObjective {
  std::function<float*()> of_weights, of_gradient;
  std::function<void()> clear, changed;
  std::function<double(long)> add;

  float* weights() { return of_weights(); }
  float* gradient() { return of_gradient(); }
  void clear_gradient() { clear(); }
  void weights_changed() { changed(); }
  double add_gradient(long i) { return add(i); }

  template <class Goal>
  static SharedObjective of(const std::shared_ptr<Goal>& goal) {
    return {.of_weights = [goal] { return goal->weights(); },
            .of_gradient = [goal] { return goal->gradient(); },
            .clear = [goal] { goal->clear_gradient(); },
            .changed = [goal] { goal->weights_changed(); },
            .add = [goal](long i) { return goal->add_gradient(i); }};
  }
};

/// The objective shared among all processes; alone the objective itself. samples: of the data, to be the same
/// everywhere.
SharedObjective share(MethodObjective& goal, MethodParts& parts, ParamTable table, std::int64_t samples,
                      bool fixed_order);
SharedObjective share(Goal& goal, SampleParts& parts, ParamTable table, std::int64_t samples, bool fixed_order);
using TidhyParts = train::MinibatchParts<train::SetSampler>;
SharedObjective share(models::AnyTidhy& goal, TidhyParts& parts, ParamTable table, std::int64_t samples,
                      bool fixed_order);

/// Rank 0's state on all.
void broadcast(const train::TrainingState<float>& state);
/// What rank 0 says: whether to stop; with an error of rank 0 it throws on the others.
bool stop_together(bool stop);
void fail_together();

/// The updates on all processes; what the observer of rank 0 sees and decides holds for all.
void run_together(auto& trainer, long steps, Observer& observer) {
  struct Together {
    Observer& observer;

    bool on_step(const train::Update& update) {
      if (Ranks::rank() > 0) return stop_together(false);
      bool stop = false;
      try {
        stop = observer.on_step(update);
      } catch (...) {
        fail_together();
        throw;
      }
      return stop_together(stop);
    }
  } together{observer};
  trainer.run(steps, together);
}

/// The same where the observer is, with the curves at the end, also of a run that is interrupted. An error says which
/// checkpoint is there.
void run_and_draw(auto& trainer, long steps, Observer& observer, const std::string& title) {
  try {
    run_together(trainer, steps, observer);
  } catch (const Interruption::Request&) {
    observer.draw(title);
    throw;
  } catch (const Error& error) {
    fail(error.what(), "; ", observer.checkpoint().string(), " is as it was after step ", observer.saved_step());
  }
  observer.draw(title);
}

}  // namespace fieldstep::cli
