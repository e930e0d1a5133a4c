// expect: LayerNorm<Real, Dim>: needs at least two channels
#include <fieldstep/blocks/layer_norm.hpp>

constexpr auto size = sizeof(fieldstep::blocks::LayerNorm<float, 1>);
