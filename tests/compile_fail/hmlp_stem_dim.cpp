// expect: hMLP_stem: Dim must be a multiple of 4
#include <fieldstep/blocks/hmlp_stem.hpp>

constexpr int q = fieldstep::blocks::hMLP_stem<float, 30, 2, 2, 1>::q;
