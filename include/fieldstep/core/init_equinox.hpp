#pragma once
#include <fieldstep/core/init.hpp>

namespace fieldstep {

/// Draws the parameters of one layer as Equinox does: those of the table from `first` on that share its parent, the
/// weight from split(key)[0] and the bias from split(key)[1]. Returns the entry behind the layer.
/// Source: equinox.nn.Conv, equinox.nn.Linear.
template <class Real>
std::size_t initialise_layer_equinox(ParamTable table, std::size_t first, Real* arena, Key key,
                                     RandomLayout layout = RandomLayout::partitionable) {
  const auto parent = [&](std::size_t i) {
    const std::string_view path = table[i].path;
    return path.substr(0, path.find_last_of('.') + 1);
  };
  std::size_t i = first;
  for (; i < table.size() && parent(i) == parent(first); ++i) {
    const ParamEntry& entry = table[i];
    const Key own = split(key, i - first, 2, layout);
    std::vector<float> draws(entry.size);
    for (std::size_t j = 0; j < entry.size; ++j)
      draws[j] = detail::draw_initial(entry.init, Framework::torch, random_bits(own, j, entry.size, layout));
    import_param(entry, draws.data(), arena);
  }
  return i;
}

/// Draws a stack of layers, layer i from split(key, layers)[i].
template <class Real>
void initialise_layers_equinox(ParamTable table, int layers, Real* arena, Key key,
                               RandomLayout layout = RandomLayout::partitionable) {
  std::size_t next = 0;
  for (int l = 0; l < layers; ++l)
    next = initialise_layer_equinox(
        table, next, arena, split(key, static_cast<std::uint64_t>(l), static_cast<std::uint64_t>(layers), layout),
        layout);
}

}  // namespace fieldstep
