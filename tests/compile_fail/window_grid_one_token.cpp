// expect: WindowGrid: a window of one token has no distances
#include <fieldstep/ops/window_attention.hpp>

constexpr auto size = sizeof(fieldstep::ops::WindowGrid<4, 4, 1>);
