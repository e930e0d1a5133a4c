// expect: ConditionalLayerNorm<Real, Dim>: needs at least two channels
#include <fieldstep/blocks/conditional_layer_norm.hpp>

constexpr auto size = sizeof(fieldstep::blocks::ConditionalLayerNorm<float, 1>);
