// expect: ConvNet: there must be a layer
#include <fieldstep/models/conv_net.hpp>

using namespace fieldstep;

struct None : models::ConvNetDefaults {
  static constexpr int layers = 0;
};

constexpr auto size = models::ConvNet<None, Shape<8>>::state_size;
