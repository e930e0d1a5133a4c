// expect: AttentionBlock: the instance norms need at least two positions
#include <fieldstep/blocks/attention.hpp>

constexpr int positions = fieldstep::blocks::AttentionBlock<float, 48, 3, 3, 1, 1>::Positions;
