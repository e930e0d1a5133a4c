// expect: MatrixLayout: N and K must name every axis of View once
#include <fieldstep/core/packed.hpp>

using namespace fieldstep;

constexpr int K = MatrixLayout<Shape<6, 4>, Shape<2, 3, 4>, Axes<0, 1>, Axes<1>>::K;
