// expect: DenseNet: there must be a hidden layer
#include <fieldstep/models/dense_net.hpp>

using namespace fieldstep;

struct None : models::DenseNetDefaults {
  static constexpr int depth = 0;
};

constexpr auto size = sizeof(models::DenseNet<None, Shape<8>>);
