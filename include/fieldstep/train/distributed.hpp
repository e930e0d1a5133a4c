#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/train/minibatch_parts.hpp>

#include <mpi.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <type_traits>
#include <vector>

// Data-parallel training over MPI, on the caller's communicator: nothing here initialises or finalises MPI.
namespace fieldstep::train {

enum class SumOrder {
  fast,   ///< one allreduce; the bits depend on the number of ranks
  fixed,  ///< part after part whatever rank computed it: equal bits for any number of ranks
};

/// An objective whose minibatches are shared among the ranks of a communicator. Every rank has the whole data and makes
/// the same updates, so weights and optimizer stay equal without being sent. The gradient of a minibatch is the mean of
/// its parts' gradients, weighted by their samples, as of a loss that is a mean over samples.
///   MinibatchParts parts(order, train::parts_for(comm, SumOrder::fast));
///   RolloutObjective goal(stepper, data, windows, parts, configuration);
///   Distributed distributed(goal, parts, stepper.table(), windows.size(), comm);
///   Trainer trainer(distributed, optimizer, groups, options);
/// An error on one rank is one on all of them: none waits for ever.
template <class Goal, class Parts>
class Distributed {
 public:
  using Real = std::remove_cvref_t<decltype(*std::declval<Goal&>().gradient())>;
  static_assert(std::is_same_v<Real, float> || std::is_same_v<Real, double>);

  /// Rank 0's weights go to all. Throws on all ranks where their parameters or their data differ; samples: of the data.
  Distributed(Goal& goal, Parts& parts, ParamTable table, std::int64_t samples, MPI_Comm comm,
              SumOrder order = SumOrder::fast)
      : goal_(goal), parts_(parts), comm_(comm), order_(order) {
    MPI_Comm_rank(comm, &rank_);
    MPI_Comm_size(comm, &ranks_);
    for (const ParamEntry& entry : table) size_ = std::max(size_, entry.offset + aligned_count(entry.stored));
    require_equal("parameters", static_cast<std::int64_t>(size_));
    require_equal("samples", samples);
    require_equal("parts of a minibatch", parts.parts());
    gradient_ = Arena<Real>(size_);
    clear_gradient();
    first_ = parts.parts() * rank_ / ranks_, last_ = parts.parts() * (rank_ + 1) / ranks_;
    of_parts_ = Arena<Real>(order == SumOrder::fixed ? size_ * static_cast<std::size_t>(parts.parts()) : 0);
    MPI_Bcast(goal_.weights(), static_cast<int>(size_), type(), 0, comm_);
  }

  Real* weights() { return goal_.weights(); }
  Real* gradient() { return gradient_.data(); }
  void clear_gradient() { std::fill_n(gradient_.data(), size_, Real(0)); }
  void weights_changed() { goal_.weights_changed(); }

  double add_gradient(long i) {
    const auto samples = static_cast<double>(parts_.whole(i).samples.size());
    std::vector<double> losses(static_cast<std::size_t>(parts_.parts()), 0);
    std::exception_ptr error;
    try {
      for (int p = first_; p < last_; ++p) add_part(i, p, samples, losses[static_cast<std::size_t>(p)]);
    } catch (...) {
      error = std::current_exception();
    }
    agree(error);
    MPI_Allreduce(MPI_IN_PLACE, losses.data(), parts_.parts(), MPI_DOUBLE, MPI_SUM, comm_);
    double loss = 0;
    for (const double one : losses) loss += one;
    if (order_ == SumOrder::fixed)
      sum_in_order();
    else
      MPI_Allreduce(MPI_IN_PLACE, gradient_.data(), static_cast<int>(size_), type(), MPI_SUM, comm_);
    return loss;
  }

 private:
  static MPI_Datatype type() { return std::is_same_v<Real, float> ? MPI_FLOAT : MPI_DOUBLE; }
  Real* of_part(int p) { return of_parts_.data() + static_cast<std::size_t>(p) * size_; }

  void add_part(long i, int p, double samples, double& loss) {
    const long j = i * parts_.parts() + p;
    const auto share = static_cast<double>(parts_(j).samples.size()) / samples;
    goal_.clear_gradient();
    if (share > 0) loss = share * goal_.add_gradient(j);
    const Real* g = goal_.gradient();
    Real* to = order_ == SumOrder::fixed ? of_part(p) : gradient_.data();
    for (std::size_t k = 0; k < size_; ++k) {
      const Real term = static_cast<Real>(share) * g[k];
      to[k] = order_ == SumOrder::fixed ? term : to[k] + term;
    }
  }

  void sum_in_order() {
    std::vector<int> counts, offsets;
    for (int r = 0; r < ranks_; ++r) {
      const int first = parts_.parts() * r / ranks_, last = parts_.parts() * (r + 1) / ranks_;
      counts.push_back((last - first) * static_cast<int>(size_));
      offsets.push_back(first * static_cast<int>(size_));
    }
    MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, of_parts_.data(), counts.data(), offsets.data(), type(), comm_);
    for (int p = 0; p < parts_.parts(); ++p)
      for (std::size_t k = 0; k < size_; ++k) gradient_.data()[k] += of_part(p)[k];
  }

  /// Throws on every rank where one has an error: its own, or that another had one.
  void agree(const std::exception_ptr& error) const {
    int failed = error ? rank_ : ranks_;
    MPI_Allreduce(MPI_IN_PLACE, &failed, 1, MPI_INT, MPI_MIN, comm_);
    if (error) std::rethrow_exception(error);
    if (failed < ranks_) fail("training: rank ", failed, " has failed");
  }

  void require_equal(const char* what, std::int64_t here) const {
    std::array<std::int64_t, 2> ends{here, -here};
    MPI_Allreduce(MPI_IN_PLACE, ends.data(), 2, MPI_INT64_T, MPI_MIN, comm_);
    if (ends[0] != -ends[1])
      fail("training: ranks have unequal numbers of ", what, ", from ", ends[0], " to ", -ends[1], ", wanted the same");
  }

  Goal& goal_;
  Parts& parts_;
  MPI_Comm comm_;
  SumOrder order_;
  int rank_ = 0, ranks_ = 1, first_ = 0, last_ = 0;
  std::size_t size_ = 0;
  Arena<Real> gradient_, of_parts_;
};

/// Parts that a minibatch is cut into: one a rank, or with a fixed order eight, so that up to eight ranks have work.
inline int parts_for(MPI_Comm comm, SumOrder order) {
  int ranks = 1;
  MPI_Comm_size(comm, &ranks);
  return order == SumOrder::fast ? ranks : 8;
}

}  // namespace fieldstep::train
