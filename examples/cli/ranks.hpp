#pragma once
#include <examples/cli/method_objective.hpp>
#include <fieldstep/train/checkpoint.hpp>

#include <cstdint>

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

/// The objective shared among all processes; alone the objective itself. samples: of the data, to be the same
/// everywhere.
SharedObjective share(MethodObjective& goal, MethodParts& parts, ParamTable table, std::int64_t samples,
                      bool fixed_order);

/// Rank 0's state on all.
void broadcast(const train::TrainingState<float>& state);
/// What rank 0 says: whether to stop; with an error of rank 0 it throws on the others.
bool stop_together(bool stop);
void fail_together();

}  // namespace fieldstep::cli
