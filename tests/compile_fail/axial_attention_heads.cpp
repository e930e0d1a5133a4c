// expect: AxialAttentionBlock: Dim must be a multiple of Heads
#include <fieldstep/blocks/axial_attention.hpp>

constexpr int positions = fieldstep::blocks::AxialAttentionBlock<float, 48, 5, 4, 4>::Positions;
