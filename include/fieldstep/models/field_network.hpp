#pragma once
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/core/shape.hpp>
#include <fieldstep/core/tensor.hpp>

#include <algorithm>
#include <cstddef>

namespace fieldstep::models {

/// A small network of 2-D fields, such as models::ConvNet, as a model of one frame: an embed::StaticNetwork, which
/// computes in given memory and can be chosen when a program runs. Samples go through it one after the other.
///   x: (batch, fields, height, width) -> y: the same
template <class Small_, class Grid>
struct FieldNetwork {
  using Small = Small_;
  using Real = typename Small::Real;
  static constexpr int frames = 1, fields = Grid::fields, out_fields = Grid::fields;
  static constexpr int height = Grid::height, width = Grid::width;
  static constexpr std::size_t state_size = std::size_t{fields} * height * width;
  static_assert(Grid::frames == 1, "FieldNetwork: small networks read one frame");
  static_assert(Small::state_size == state_size, "FieldNetwork: the network's state must be the grid's frame");

  using In = Batched<const Real, fields, height, width>;
  using Out = Batched<Real, fields, height, width>;
  struct Conditions {};

  /// All parameters as one piece: the small network binds them itself.
  struct Weights {
    Tensor<const Real, Small::arena_size> arena{nullptr};
    using hana_accessors_impl = Fields<Field<"arena", &Weights::arena>>;
  };
  using Prepared = typename Small::Prepared;

  static ParamTable table() { return Small::table(); }
  static constexpr std::size_t arena_size = Small::arena_size;
  static constexpr std::size_t prepared_size = std::max<std::size_t>(Small::prepared_size(), 1);
  static constexpr std::size_t workspace_size = std::max<std::size_t>(Small::scratch_size(1), 1);
  static constexpr double flop(int batch) { return Small::flop(batch); }

  template <class Exec>
  static Prepared prepare(const Exec&, const Weights& w, const Conditions&, Real* memory) {
    return Small::prepare(w.arena.data_handle(), memory);
  }

  template <class Exec>
  static void forward(const Exec& exec, const Weights&, const Prepared& prepared, In x, Out y, Real* workspace) {
    Real* const no_tape = nullptr;
    for (int s = 0; s < x.extent(0); ++s) {
      const auto at = static_cast<std::size_t>(s) * state_size;
      Small::forward(exec, 1, prepared, x.data_handle() + at, y.data_handle() + at, no_tape, workspace);
    }
    exec.fence("FieldNetwork");
  }
};

}  // namespace fieldstep::models
