#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/ops/pointwise.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

namespace fieldstep::train {

/// What an optimizer does differently with one parameter. Two factors, so that one schedule and one weight decay serve
/// all groups: a group's own learning rate is rate = own / schedule's.
struct ParameterOptions {
  double rate = 1;   ///< times the learning rate
  double decay = 1;  ///< times the optimizer's weight decay
  bool frozen = false;
};

/// A rule says which parameter has which options, by its path or its shape.
template <class R>
concept ParameterRule = requires(const R& rule, const ParamEntry& entry) {
  { rule(entry) } -> std::convertible_to<ParameterOptions>;
};

/// Numbers of the flat arenas that belong to one parameter, and its options.
struct ParameterRun {
  std::size_t begin;
  int size;
  double rate, decay;
};

/// The parameters that an optimizer's pass goes over: those that are trained and not frozen. Of a packed matrix the
/// zero padding is among them; the gaps between parameters are not.
class ParameterGroups {
 public:
  /// Of several rules the factors multiply, and one that freezes is enough.
  template <ParameterRule... Rules>
  explicit ParameterGroups(ParamTable table, const Rules&... rules) {
    for (const ParamEntry& entry : table) {
      ParameterOptions options{.frozen = !entry.init.trained};
      for (const ParameterOptions& one : {ParameterOptions{}, ParameterOptions(rules(entry))...}) {
        options.rate *= one.rate, options.decay *= one.decay;
        options.frozen = options.frozen || one.frozen;
      }
      add(entry, options);
    }
  }

  /// All parameters alike, buffers too: for what is no optimizer.
  static ParameterGroups everything(ParamTable table) {
    ParameterGroups groups;
    for (const ParamEntry& entry : table) groups.add(entry, {});
    return groups;
  }

  std::span<const ParameterRun> runs() const& { return runs_; }
  std::span<const ParameterRun> runs() const&& = delete;  // they live here

  /// Numbers in the original's tensors of these parameters.
  std::size_t count() const { return count_; }

  /// A flat arena of the weights' layout: a moment.
  template <class Real>
  Arena<Real> arena(double value = 0) const {
    Arena<Real> moment(arena_size_);
    std::fill_n(moment.data(), arena_size_, static_cast<Real>(value));
    return moment;
  }

 private:
  ParameterGroups() = default;

  void add(const ParamEntry& entry, const ParameterOptions& options) {
    arena_size_ = std::max(arena_size_, entry.offset + aligned_count(entry.stored));
    if (options.frozen) return;
    count_ += entry.size;
    for (std::size_t done = 0; done < entry.stored; done += ops::run_size)
      runs_.push_back({.begin = entry.offset + done,
                       .size = static_cast<int>(std::min<std::size_t>(ops::run_size, entry.stored - done)),
                       .rate = options.rate,
                       .decay = options.decay});
  }

  std::vector<ParameterRun> runs_;
  std::size_t arena_size_ = 0, count_ = 0;
};

}  // namespace fieldstep::train
