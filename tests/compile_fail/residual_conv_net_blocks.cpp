// expect: ResidualConvNet: there must be a block
#include <fieldstep/models/residual_conv_net.hpp>

using namespace fieldstep;

struct None : models::ResidualConvNetDefaults {
  static constexpr int blocks = 0;
};

constexpr auto size = models::ResidualConvNet<None, Shape<8>>::state_size;
