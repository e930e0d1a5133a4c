// Trainings of a small network with their minibatches shared among the ranks, against the same training on one.
//   mpirun -np RANKS distributed
#include <fieldstep/train/configuration/supervised.hpp>
#include <fieldstep/train/distributed.hpp>
#include <fieldstep/train/optimizer/adam.hpp>
#include <fieldstep/train/permutation.hpp>
#include <fieldstep/train/rollout_objective.hpp>
#include <fieldstep/train/trainer.hpp>
#include <support/rollout_scene.hpp>

#include <cmath>
#include <cstdio>
#include <string>

using namespace fieldstep;
using namespace fieldstep::support;
using train::SumOrder;

namespace {

/// Weights after 12 updates with minibatches of 3 out of 15 windows, one of which is smaller.
Numbers train_on(MPI_Comm comm, SumOrder order, std::int64_t samples = 0) {
  RolloutScene scene;
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  if (rank > 0) std::fill_n(scene.stepper.weights(), scene.stepper.table().back().offset + 1, 0.);  // to be sent
  const train::SubStacker windows(RolloutScene::samples, RolloutScene::frames - 2, 3);
  train::PermutationMixer mixer(static_cast<std::int32_t>(windows.size()), 12, 2, make_key(4));
  train::MinibatchParts parts(mixer, train::parts_for(comm, order));
  train::RolloutObjective goal(
      scene.stepper,
      {scene.data.data(), RolloutScene::samples, RolloutScene::frames - 2, static_cast<std::size_t>(RolloutScene::N)},
      windows, parts, train::Supervised<>{.rollout = 2});
  train::Distributed distributed(goal, parts, scene.stepper.table(), samples > 0 ? samples : windows.size(), comm,
                                 order);
  const train::ParameterGroups groups(scene.stepper.table());
  train::Trainer trainer(distributed, train::Adam<>{.schedule = {1e-2}}, groups, {});
  trainer.run(12);
  Numbers all;
  for (const ParamEntry& entry : scene.stepper.table())
    all.insert(all.end(), scene.stepper.weights() + entry.offset, scene.stepper.weights() + entry.offset + entry.size);
  return all;
}

double largest_difference(const Numbers& a, const Numbers& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

std::string error_of(const auto& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

int main(int argc, char* argv[]) {
  MPI_Init(&argc, &argv);
  int rank = 0, ranks = 1, failures = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  {
    const Kokkos::ScopeGuard kokkos(Kokkos::InitializationSettings().set_disable_warnings(true).set_num_threads(1));
    const auto check = [&](bool holds, const char* what) {
      if (!holds) std::fprintf(stderr, "rank %d: %s\n", rank, what), ++failures;
    };
    const Numbers alone = train_on(MPI_COMM_SELF, SumOrder::fixed),
                  together = train_on(MPI_COMM_WORLD, SumOrder::fixed);
    check(together == alone, "in a fixed order the bits are not those of one rank");
    check(largest_difference(train_on(MPI_COMM_WORLD, SumOrder::fast), alone) < 1e-12,
          "an allreduce differs by more than rounding");
    const std::string error = error_of([&] { train_on(MPI_COMM_WORLD, SumOrder::fast, 15 + rank); });
    check(ranks == 1 || error.find("unequal numbers of samples, from 15 to ") != std::string::npos,
          "ranks with other data were not refused");
  }
  MPI_Allreduce(MPI_IN_PLACE, &failures, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  if (rank == 0) std::printf("%d failures\n", failures);
  MPI_Finalize();
  return failures == 0 ? 0 : 1;
}
