// expect: depthwise_conv: the kernel must be odd
#include <fieldstep/ops/depthwise_conv.hpp>

void convolve(const float* x, const float* weight, const float* bias, float* y) {
  fieldstep::ops::depthwise_conv<4, 4, 8, 6>(Kokkos::DefaultHostExecutionSpace(), 1, x, weight, bias, y);
}
