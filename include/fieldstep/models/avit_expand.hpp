#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/init.hpp>
#include <fieldstep/core/param_table.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace fieldstep::models {

/// What becomes of the old function when AViT's vocabulary grows from S to S + k states.
enum class Expansion {
  original,  ///< as MPP's expand_projections: space_bag's factor sqrt(S / C) grows to sqrt((S + k) / C), so outputs
             ///< change
  same_function,  ///< the copied part of space_bag is scaled by sqrt(S / (S + k)): outputs stay
};

/// Weights of a network with a larger vocabulary: everything of `from` is copied, the new columns of space_bag and
/// debed are drawn by their start law from `key`.
///   Small, Large: the same AViT but for Config::states
/// Source: AViT.expand_projections (models/avit.py).
template <class Small, class Large, class Real>
void expand_projections(const Real* from, Real* to, Key key, Expansion expansion) {
  const ParamTable small = Small::table(), large = Large::table();
  if (small.size() != large.size()) fail_usage("expand_projections: the networks must differ in their states only");
  initialise(large, to, key);
  double old_states = 0, states = 0;
  std::vector<Real> source, target;
  for (std::size_t i = 0; i < large.size(); ++i) {
    const ParamEntry &a = small[i], &b = large[i];
    source.resize(a.size), target.resize(b.size);
    export_param(a, from, source.data());
    if (std::ranges::equal(a.shape(), b.shape())) {
      target = source;
    } else {
      // Only the axis of the states has grown: `outer` runs of `a_run` numbers become runs of `b_run`.
      std::size_t axis = 0, outer = 1;
      while (axis < a.shape().size() && a.extents[axis] == b.extents[axis])
        outer *= static_cast<std::size_t>(a.extents[axis++]);
      if (a.rank != b.rank || axis == a.shape().size() || a.extents[axis] > b.extents[axis] || a.size % outer != 0)
        fail_usage("expand_projections: ", a.path.view(), " does not fit into the larger network");
      const std::size_t a_run = a.size / outer, b_run = b.size / outer;
      export_param(b, static_cast<const Real*>(to), target.data());
      for (std::size_t r = 0; r < outer; ++r) std::copy_n(source.data() + r * a_run, a_run, target.data() + r * b_run);
      old_states = a.extents[axis], states = b.extents[axis];
    }
    import_param(b, target.data(), to);
  }
  if (expansion == Expansion::original || states == 0) return;
  const Real factor = static_cast<Real>(std::sqrt(old_states / states));
  for (const ParamEntry& entry : large) {
    if (!entry.path.view().starts_with("space_bag.")) continue;
    target.resize(entry.size);
    export_param(entry, static_cast<const Real*>(to), target.data());
    for (std::size_t n = 0; n < entry.size; ++n)
      if (entry.rank == 1 || n % static_cast<std::size_t>(states) < static_cast<std::size_t>(old_states))
        target[n] *= factor;
    import_param(entry, target.data(), to);
  }
}

}  // namespace fieldstep::models
