// expect: AttentionBlock: Dim must be a multiple of Heads
#include <fieldstep/blocks/attention.hpp>

constexpr int positions = fieldstep::blocks::AttentionBlock<float, 48, 5, 3, 4, 4>::Positions;
