// expect: Linear: the weight's layout must be In x Out
#include <fieldstep/blocks/linear.hpp>

using namespace fieldstep;

constexpr auto size = sizeof(blocks::Linear<float, 8, 16, LinearLayout<16, 8>>);
