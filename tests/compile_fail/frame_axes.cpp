// expect: Frame: a field has one, two or three axes
#include <fieldstep/ops/frame.hpp>

using namespace fieldstep;

constexpr auto size = ops::Frame<Shape<2, 2, 2, 2>, 1, 1, ops::Padding::zero>::size;
