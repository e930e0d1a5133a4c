// expect: WindowedCosineAttention: Dim must be a multiple of Heads
#include <fieldstep/blocks/windowed_cosine_attention.hpp>

constexpr auto size = sizeof(fieldstep::blocks::WindowedCosineAttention<float, 16, 3, 4, 4, 4>);
