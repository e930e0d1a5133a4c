// expect: NormLoader: a row must hold whole groups of Period channels
#include <fieldstep/ops/loaders.hpp>

constexpr auto size = sizeof(fieldstep::ops::NormLoader<float, 20, 12, false, false>);
