// expect: MatrixLayout: View must hold as many numbers as Original
#include <fieldstep/core/packed.hpp>

using namespace fieldstep;

constexpr int K = MatrixLayout<Shape<6, 4>, Shape<6, 5>, Axes<0>, Axes<1>>::K;
