// expect: Grid<frames, height, width, fields>: every extent must be positive
#include <fieldstep/core/shape.hpp>

constexpr int frames = fieldstep::Grid<0, 64, 64, 3>::frames;
