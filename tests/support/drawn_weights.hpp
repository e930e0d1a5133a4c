#pragma once
#include <fieldstep/core/param_table.hpp>
#include <support/reference_layers.hpp>

namespace fieldstep::support {

/// Fills an arena with weights that let every part of a network show: products keep the size of what goes through them,
/// norms and layer scales are about 1. Each parameter's numbers are drawn from its key.
template <class Real>
void draw_weights(ParamTable table, Real* arena) {
  for (const ParamEntry& entry : table) {
    double offset = 0, scale = .3;
    if (entry.init.law == Init::Law::weight) scale = std::sqrt(3. / entry.init.flax_fan_in);
    if (entry.init.law == Init::Law::embedding) scale = 1.5;
    if (entry.init.law == Init::Law::constant && entry.init.value > 0) offset = 1;
    import_param(entry, synth(entry.path, entry.size, offset, scale).data(), arena);
  }
}

/// A block's parameters with drawn weights: as the block reads them, and by their keys for the reference.
template <class Block, class Real>
class DrawnWeights {
 public:
  DrawnWeights() { draw_weights(table_, arena_.data()); }

  typename Block::Weights weights() const {
    return bind<typename Block::Weights>(static_cast<const Real*>(arena_.data()));
  }
  reference::State state() const { return {table_, arena_.data()}; }

 private:
  static constexpr auto table_ = make_param_table<typename Block::template Params<Real>>();
  Arena<Real> arena_{arena_count<typename Block::template Params<Real>>()};
};

}  // namespace fieldstep::support
