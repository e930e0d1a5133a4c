// expect: AxialAttentionBlock: the instance norms need at least two positions
#include <fieldstep/blocks/axial_attention.hpp>

constexpr int positions = fieldstep::blocks::AxialAttentionBlock<float, 48, 3, 1, 1>::Positions;
