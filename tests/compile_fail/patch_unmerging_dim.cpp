// expect: PatchUnmerging: Dim must be even
#include <fieldstep/blocks/layer_norm.hpp>
#include <fieldstep/blocks/patch_unmerging.hpp>

using namespace fieldstep;

constexpr auto size = sizeof(blocks::PatchUnmerging<float, blocks::LayerNorm<float, 3>, 7, 4, 4>);
