#include <examples/cli/ranks.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/distributed.hpp>

#include <cstdlib>
#include <memory>
#include <variant>

namespace fieldstep::cli {

namespace {

/// Set by the launchers of Open MPI, MPICH and Slurm.
bool launched() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"})
    if (std::getenv(name) != nullptr) return true;
  return false;
}

bool together() {
  int initialised = 0, finalised = 0;
  MPI_Initialized(&initialised), MPI_Finalized(&finalised);
  return initialised != 0 && finalised == 0;
}

train::SumOrder order_of(bool fixed) { return fixed ? train::SumOrder::fixed : train::SumOrder::fast; }

template <class Goal, class Parts>
SharedObjective shared(Goal& goal, Parts& parts, ParamTable table, std::int64_t samples, bool fixed_order) {
  if (!together()) return SharedObjective::of(std::shared_ptr<Goal>(&goal, [](Goal*) {}));
  return SharedObjective::of(std::make_shared<train::Distributed<Goal, Parts>>(goal, parts, table, samples,
                                                                               MPI_COMM_WORLD, order_of(fixed_order)));
}

enum Word : int { go_on, stop_now, failed };

/// Rank 0's word on all ranks.
int word_of_first(int word) {
  if (together()) MPI_Bcast(&word, 1, MPI_INT, 0, MPI_COMM_WORLD);
  return word;
}

}  // namespace

Ranks::Ranks(int* argc, char*** argv) {
  if (launched()) MPI_Init(argc, argv);
}
Ranks::~Ranks() {
  if (together()) MPI_Finalize();
}
int Ranks::rank() {
  int rank = 0;
  if (together()) MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}
int Ranks::size() {
  int size = 1;
  if (together()) MPI_Comm_size(MPI_COMM_WORLD, &size);
  return size;
}
void Ranks::abort(int code) {
  if (together() && size() > 1) MPI_Abort(MPI_COMM_WORLD, code);
}

int minibatch_parts(bool fixed_order) {
  return together() ? train::parts_for(MPI_COMM_WORLD, order_of(fixed_order)) : 1;
}

SharedObjective share(MethodObjective& goal, MethodParts& parts, ParamTable table, std::int64_t samples,
                      bool fixed_order) {
  return shared(goal, parts, table, samples, fixed_order);
}
SharedObjective share(Goal& goal, SampleParts& parts, ParamTable table, std::int64_t samples, bool fixed_order) {
  return shared(goal, parts, table, samples, fixed_order);
}

SharedObjective share(models::AnyTidhy& goal, TidhyParts& parts, ParamTable table, std::int64_t samples,
                      bool fixed_order) {
  return shared(goal, parts, table, samples, fixed_order);
}

void broadcast(const train::TrainingState<float>& state) {
  if (!together()) return;
  std::size_t size = 0;
  for (const ParamEntry& entry : state.table()) size = std::max(size, entry.offset + entry.stored);
  for (const auto& [prefix, arena] : state.arenas())
    MPI_Bcast(arena, static_cast<int>(size), MPI_FLOAT, 0, MPI_COMM_WORLD);
  for (const auto& [name, list] : state.lists())
    MPI_Bcast(list->data(), static_cast<int>(list->size()), MPI_FLOAT, 0, MPI_COMM_WORLD);
  for (const auto& [name, number] : state.numbers())
    std::visit([](auto* value) { MPI_Bcast(value, static_cast<int>(sizeof *value), MPI_BYTE, 0, MPI_COMM_WORLD); },
               number);
}

bool stop_together(bool stop) {
  const int word = word_of_first(stop ? stop_now : go_on);
  if (word == failed) fail("training: rank 0 has failed");
  return word == stop_now;
}
void fail_together() { word_of_first(failed); }

}  // namespace fieldstep::cli
