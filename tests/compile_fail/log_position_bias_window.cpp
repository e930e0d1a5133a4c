// expect: LogPositionBias: a window of one token has no distances
#include <fieldstep/blocks/log_position_bias.hpp>

constexpr auto size = sizeof(fieldstep::blocks::LogPositionBias<float, 2, 1>);
